"""``python -m tests.bench.attacks``: what attacks, faults and shifts cost with and without the safeguards; writes ``ATTACKS.md``.

What was played is kept in the cache, so that a run goes on where it stopped; ``--anew`` plays it again.
"""

import argparse
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import structlog
import torch

from infra.local.progress import console
from infra.local.settings import ROOT
from tests.bench.attacks.page import page
from tests.bench.attacks.scenarios import SCENARIOS, Bench, Damage, Scenario, robots


def main() -> None:
    """Play what is not kept, and write what was seen."""
    arguments = _arguments()
    torch.set_num_threads(1)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    bench = cache(Bench.of)
    damages = [damage for name in arguments.play for damage in _played(SCENARIOS[name], bench, arguments.cache / f"{name}.json")]
    if arguments.play == list(SCENARIOS):
        arguments.out.write_text(page(damages, robots()))
    for damage in damages:
        console.print(damage)


def _played(scenario: Scenario, bench: Callable[[], Bench], kept: Path) -> list[Damage]:
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(msgspec.json.encode(scenario(bench())))
    return msgspec.json.decode(kept.read_bytes(), type=list[Damage])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--play", nargs="+", choices=tuple(SCENARIOS), default=list(SCENARIOS), help="the page needs them all")
    parser.add_argument("--anew", action="store_true", help="forget what is kept")
    parser.add_argument("--cache", type=Path, default=ROOT / ".state" / "bench" / "attacks")
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "bench" / "ATTACKS.md")
    arguments = parser.parse_args()
    for name in arguments.play if arguments.anew else ():
        (arguments.cache / f"{name}.json").unlink(missing_ok=True)
    return arguments


if __name__ == "__main__":
    main()
