"""``python -m tests.bench.demo``: the demo's report against what the demo is to reach. Run ``freshet demo`` before."""

import sys
from typing import Any

import msgspec

from infra.local.settings import StackSettings
from tests.bench.goals import Goal, judged

MEGABYTES = {"updater": 1_500}
OTHERS = 500


def goals(report: dict[str, Any]) -> list[Goal]:
    """Each figure of the report that has a limit."""
    events, requests, fresh = report["events"], report["requests"], report["freshness_s"]
    gain = report["prequential"]["live_less_frozen"]
    start = sum(report["cold_start_s"].values())
    return [
        Goal("events lost or counted twice", events["lost"] + events["duplicated"], 0),
        Goal("requests failed", requests["failed"], 0),
        Goal("bundles refused", report["bundles"]["refused"], 0),
        Goal("swaps", report["bundles"]["swapped"], 50, at_least=True),
        Goal("seconds from an outcome to the first answer, p50", fresh["p50"], 1.5),
        Goal("the same, p99", fresh["p99"], 2.4),
        Goal("AUC above the frozen base", gain["auc"]["difference"], 0.010, at_least=True),
        Goal("the same, low end of the 95% interval", gain["auc"]["low"], 0.0, at_least=True),
        Goal("log loss above the frozen base's, high end", gain["logloss"]["high"], 0.0),
        Goal("seconds until the first answer is served", start, 120),
        Goal("seconds of start and play", start + report["seconds"], 360),
        *(Goal(f"MB of {name}", used, MEGABYTES.get(name, OTHERS)) for name, used in report["memory_mb"].items()),
    ]


if __name__ == "__main__":
    found = StackSettings.read().state / "report.json"
    if not found.exists():
        sys.exit("there is no report yet: run `freshet demo` first")
    sys.exit(judged(*goals(msgspec.json.decode(found.read_bytes()))))
