"""``python -m tests.bench.demo``: a demo whose base is made anew, against what it is to reach; options are the demo's."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.bench import OWN
from tests.bench.goals import Goal, judged

MEGABYTES = {"updater": 1_500}
OTHERS = 500


def goals(report: dict[str, Any], took: float) -> list[Goal]:
    """Each figure of the report that has a limit, and the seconds that the command took."""
    events, requests, fresh = report["events"], report["requests"], report["freshness_s"]
    gain = report["prequential"]["live_less_frozen"]
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
        Goal("seconds until the first answer is served", sum(report["cold_start_s"].values()), 120),
        Goal("seconds of the whole demo", took, 360),
        *(Goal(f"MB of {name}", used, MEGABYTES.get(name, OTHERS)) for name, used in report["memory_mb"].items()),
    ]


def main(arguments: list[str]) -> int:
    """Play it; 0 when all is reached."""
    state = Path(OWN["FRESHET_STATE"])
    shutil.rmtree(state / "base", ignore_errors=True)
    began = time.monotonic()
    subprocess.run([Path(sys.executable).with_name("freshet"), "demo", *arguments], env=os.environ | OWN, check=True)
    took = time.monotonic() - began
    return judged(*goals(msgspec.json.decode((state / "report.json").read_bytes()), took))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
