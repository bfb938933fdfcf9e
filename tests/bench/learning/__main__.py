"""``python -m tests.bench.learning --data DIR``: public sets replayed through the updater's learner, beside its rivals.

Every model predicts a window, whole lists at once, before it learns it; settings are chosen on history alone; negatives, where a
set has no impressions, come from what was sold before. Writes ``tests/bench/learning.json`` and ``tests/bench/LEARNING.md``; sets
that are not played this time keep their figures. Predictions are kept in the cache, so that a run goes on where it stopped.
"""

import argparse
from pathlib import Path

import structlog
import torch

from infra.local.settings import ROOT
from shared.errors import FreshetError
from tests.bench.learning.arguments import places
from tests.bench.learning.contestants import CONTESTANTS
from tests.bench.learning.page import write
from tests.bench.learning.play import Played, play
from tests.bench.learning.plot import draw
from tests.bench.learning.prepared import prepare
from tests.bench.learning.results import Results, figures_of
from tests.bench.learning.sets import SETS, Source


def main() -> int:
    """Play, measure, write; 1 where a set could not be read."""
    arguments = _arguments()
    torch.set_num_threads(1)
    log, failed = structlog.get_logger(), 0
    for name in arguments.sets:
        chosen = SETS[name]
        try:
            prepared = prepare(chosen, Source(arguments.data, arguments.cache), arguments.share or chosen.share)
        except FreshetError as error:
            log.error("left out", set=name, reason=str(error))
            failed = 1
            continue
        played = Played(prepared, arguments.cache / "scores" / f"{name}-{arguments.share or chosen.share}")
        for model in arguments.models or chosen.models:
            play(played, model, CONTESTANTS, 0 if arguments.kept else arguments.seeds, log)
        figures = figures_of(played, CONTESTANTS)
        arguments.out.mkdir(parents=True, exist_ok=True)
        results = Results.read(arguments.out / "learning.json")
        results.put(name, figures)
        results.write(arguments.out / "learning.json")
        write(results, arguments.out / "LEARNING.md")
        draw(results, arguments.out / "LEARNING.svg")
    return failed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=list(SETS))
    parser.add_argument("--models", nargs="+", choices=tuple(CONTESTANTS), help="all of each set's where not given")
    parser.add_argument("--seeds", type=int, default=3, help="how many, for the models that draw")
    parser.add_argument("--kept", action="store_true", help="play nothing: measure what the cache holds")
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "bench", help="folder for learning.json and LEARNING.md")
    return places(parser)


if __name__ == "__main__":
    raise SystemExit(main())
