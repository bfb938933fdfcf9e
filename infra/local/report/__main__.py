"""``python -m infra.local.report``: the report of the last play, from a stack that runs."""

import argparse
import json
from pathlib import Path

from infra.local.report.run import run_report
from infra.local.settings import StackSettings
from shared.errors import FreshetError


def main() -> None:
    """Read the arguments, write the report, say where it is."""
    settings = StackSettings.read().resolved()
    parser = argparse.ArgumentParser(prog="python -m infra.local.report", description=__doc__)
    parser.add_argument("--log", type=Path, default=settings.state / "shopper", help="the shopper's log")
    parser.add_argument("--out", type=Path, default=settings.state / "report", help="where the report goes")
    parser.add_argument("--play", help="the play's name; the last one where none is given")
    parser.add_argument("--steps", type=Path, help="JSON: seconds of the cold start by step")
    given = parser.parse_args()
    ports = {name: getattr(settings, f"{name}_port") for name in ("collector", "features", "joiner", "updater", "ranking")}
    try:
        run_report(
            settings,
            given.log,
            given.out,
            verify_key=settings.keys[1],
            play=given.play,
            metrics={name: f"http://{settings.host}:{port}/metrics" for name, port in ports.items()},
            steps=json.loads(given.steps.read_text()) if given.steps else None,
        )
    except FreshetError as error:
        raise SystemExit(str(error)) from None
    print(given.out / "report.html")


if __name__ == "__main__":
    main()
