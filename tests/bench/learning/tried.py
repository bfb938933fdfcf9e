"""``python -m tests.bench.learning.tried --data DIR SET [--settings NAME=VALUE …]``: one setting of one model, on history or live.

Tables of ``services/updater/learning/README.md`` can be made of such lines. Settings are those of ``LearningSettings`` and
``ModelSettings``, and ``epochs``; values are JSON: ``row_rate=0.1 without='["user"]' pooling=false``. Nothing is kept but the set's
rows. With ``--history`` the newest part of history is played, on which settings are chosen. With ``--calibrator`` the live scores
are corrected as the updater would, at each window's end.
"""

import argparse
import json
import time
from typing import Any

import numpy as np
import structlog
import torch

from services.updater.evaluation.calibrator import curves
from shared.errors import FreshetError
from shared.model.calibration import log_odds, probabilities
from tests.bench.learning.arguments import places
from tests.bench.learning.contestants import CONTESTANTS, TUNED_ON
from tests.bench.learning.measures import Judge
from tests.bench.learning.play import BRIEF, FIRST_SEED
from tests.bench.learning.prepared import prepare
from tests.bench.learning.protocol import F8, Stream, live_rows, replay, windows
from tests.bench.learning.sets import SETS, Source

KEPT = 20_000
"""Settled rows that a curve is fitted to."""


def main(given: list[str] | None = None) -> int:
    """Play, and say what came of it; 1 where the set could not be read."""
    arguments = _arguments(given)
    torch.set_num_threads(1)
    chosen, log = SETS[arguments.set], structlog.get_logger()
    contestant, setting = CONTESTANTS[arguments.model], dict(map(_setting, arguments.settings))
    try:
        prepared = prepare(chosen, Source(arguments.data, arguments.cache), arguments.share or chosen.share)
    except FreshetError as error:
        log.error("left out", set=chosen.name, reason=str(error))
        return 1
    stream, seconds = prepared.stream, contestant.window or chosen.window
    if arguments.history:
        stream = stream.part(int(stream.start * (1 - TUNED_ON)), stream.start)
    began = time.process_time()
    scores, _ = replay(stream, contestant.make(prepared, setting, arguments.seed), seconds)
    if arguments.calibrator != "none":
        scores = calibrated(stream, scores, arguments.calibrator, seconds, arguments.ripe or stream.attribution)
    found = Judge.of(stream).measure(scores)
    brief = {name: round(found[name], 4) for name in BRIEF if name in found}
    log.info("tried", set=chosen.name, model=arguments.model, **setting, **brief, cpu=round(time.process_time() - began, 1))
    return 0


def calibrated(stream: Stream, scores: F8, kind: str, seconds: float, ripe: float) -> F8:
    """The live scores, each window's by the curves of the newest rows that were ripe before it, labelled by what had come."""
    rows = live_rows(stream)
    batch, lists = stream.batch, stream.batch.list[rows]
    first = np.unique(batch.keys["user"], return_index=True, return_inverse=True)
    new = batch.time[batch.list[first[1]]][first[2]][rows] >= batch.time[lists]  # nothing of the user came before this list
    labels, out = batch.labels[rows, 0].astype(np.float64), scores.copy()
    time, arrival = batch.time[lists], stream.arrival[lists]
    for known in windows(stream, seconds):
        begin = np.floor(batch.time[known.first] / seconds) * seconds
        until, now = int(np.searchsorted(time, begin - ripe)), (lists >= known.first) & (lists < known.last)
        kept = slice(max(0, until - KEPT), until)
        found = curves(kind, labels[kept] * (arrival[kept] < begin), scores[kept], new[kept])
        for name, mine in (("known", now & ~new), ("new", now & new)):
            if name in found:
                out[mine] = probabilities(found[name](log_odds(scores[mine])))
    return out


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=tuple(SETS))
    parser.add_argument("--settings", nargs="+", metavar="NAME=VALUE", default=[])
    parser.add_argument("--model", choices=tuple(CONTESTANTS), default="freshet")
    parser.add_argument("--history", action="store_true", help="the newest part of history instead of the live part")
    parser.add_argument("--calibrator", choices=("none", "platt", "isotonic"), default="none")
    parser.add_argument("--ripe", type=float, help="seconds after which a list is ripe; its attribution where not given")
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    return places(parser, given)


if __name__ == "__main__":
    raise SystemExit(main())
