"""``python -m tests.bench.freshness``: seconds from an outcome's receipt to the first answer that learned it, under a steady load.

200 behaviour events and 50 ``/rank`` a second, half of the outcomes inside the WAIT of one second and half after it; every accepted
outcome counts, one that is never learned as infinite, and the load itself must be reached and answered. Uses the stack that runs,
or starts one of its own and stops it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from infra.local import base
from infra.local.progress import Steps
from infra.local.report.freshness import first_answers, freshness, quantile
from infra.local.report.ledger import Ledger
from infra.local.settings import StackSettings
from infra.local.stack import Stack
from infra.local.view import watch
from services.shopper.log import Accepted, Asked, Played, read
from shared.bundles.storage import Storage
from tests.bench.goals import Goal, judged

P50, P99 = 1.5, 2.4
"""Seconds to reach."""
LOAD = 0.95
"""Share of the rates asked for that must be reached."""


@contextmanager
def running(settings: StackSettings) -> Iterator[Stack]:
    """The stack that answers already, or one started for this."""
    stack = Stack(settings, "bench", Steps())
    if all(service.ready() for service in stack.services):
        yield stack
        return
    stack.check()
    try:
        base.load(stack, anew=True)
        stack.start_engines()
        stack.prepare()
        base.make(stack)
        stack.start_services()
        yield stack
    finally:
        stack.stop()


def load(stack: Stack, log: Path, arguments: list[str]) -> None:
    """Play the synthetic load to its end, and show it."""
    settings = stack.settings
    doors = {
        "FRESHET_COLLECTOR": f"http://{settings.host}:{settings.collector_port}",
        "FRESHET_RANKING": f"http://{settings.host}:{settings.ranking_port}",
        "FRESHET_SHOPPER_LOG": str(log),
    }
    command = [sys.executable, "-m", "services.shopper", "--synthetic", "--drain", "10", "--port", "0", *arguments]
    with (log / "shopper.log").open("wb") as output:
        shopper = subprocess.Popen(command, env={**stack.variables, **doors}, stdout=output, stderr=output)
        urls = {service.name: f"http://{service.host}:{service.port}/metrics" for service in stack.services}
        try:
            watch(urls, log, Storage.connect(settings), until=lambda: shopper.poll() is not None)
        finally:
            shopper.terminate()
            shopper.wait(60)
    if shopper.returncode:
        raise SystemExit((log / "shopper.log").read_text()[-2_000:])


def measured(stack: Stack, log: Path) -> dict[str, Any]:
    """The figures of what was played."""
    asked, accepted = list(read(log, Asked)), list(read(log, Accepted))
    found = freshness(accepted, first_answers(asked), Ledger(Storage.connect(stack.settings), log).refresh())
    questions = [line for line in asked if not line.probe]
    (played,) = read(log, Played)
    seconds = played.ended_wall - played.started_wall
    took = np.array([line.finished_wall - line.scheduled_wall for line in questions if line.status == "ok"]) * 1e3
    kinds = {"all": found.all, "in_example": found.in_example, "corrections": found.corrections}
    return {
        "freshness_s": {
            name: {"p50": quantile(s, 0.5), "p99": quantile(s, 0.99), "n": len(s), "never": int(np.isinf(s).sum())}
            for name, s in kinds.items()
        },
        "requests": {"sent": len(questions), "not_answered": sum(line.status != "ok" for line in questions)},
        "a_second": {
            "events": sum(played.started_wall <= line.accepted_wall <= played.ended_wall for line in accepted) / seconds,
            "rankings": sum(line.status == "ok" for line in questions) / seconds,
        },
        "rank_ms": {"p50": quantile(took, 0.5), "p99": quantile(took, 0.99)},
        "events": {"sent": len(accepted), "never_accepted": sum(line.offset < 0 for line in accepted)},
        "bundles_seen": len({line.bundle for line in asked if line.bundle}),
    }


def main() -> None:
    """Measure, print, and exit 1 where the figures are not reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.freshness", description=__doc__)
    parser.add_argument("--seconds", default="60")
    parser.add_argument("--rate", default="50", help="/rank a second")
    parser.add_argument("--behaviour", default="200", help="events a second in all")
    given = parser.parse_args()
    arguments = [part for name, value in vars(given).items() for part in (f"--{name}", value)]
    with tempfile.TemporaryDirectory() as folder, running(StackSettings.read().resolved()) as stack:
        load(stack, Path(folder), arguments)
        figures = measured(stack, Path(folder))
    print(json.dumps(figures, indent=2))
    every, reached = figures["freshness_s"]["all"], figures["a_second"]
    raise SystemExit(
        judged(
            Goal("seconds from an outcome to the first answer, p50", every["p50"], P50),
            Goal("the same, p99", every["p99"], P99),
            Goal("rankings not answered", figures["requests"]["not_answered"], 0),
            Goal("events accepted a second", reached["events"], LOAD * float(given.behaviour), at_least=True),
            Goal("rankings answered a second", reached["rankings"], LOAD * float(given.rate), at_least=True),
        )
    )


if __name__ == "__main__":
    main()
