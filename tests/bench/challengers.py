"""``python -m tests.bench.challengers``: how often a race is wrong, how soon it leaves a bad champion, and what challengers cost.

A/A streams compare two equal configurations, and are looked at after every window: thousands of simulated streams of paired losses,
and pairs of the updater's own learners, pretrained from two seeds, on a real grocer's households. A bad start is a champion with a
hundred times the rates. Reads The Complete Journey from its package; what it makes of it is kept in the learning bench's cache.
``make bench`` leaves it out; it is run by itself, as above.
"""

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from infra.local.settings import ROOT
from services.updater.evaluation.prequential import Prequential
from services.updater.learning.batches import Batch
from services.updater.learning.learner import Learner
from services.updater.race.challengers import Race
from services.updater.race.standings import CUT, Standing, reach
from shared.tasks import LearningSettings, Task
from tests.bench.goals import Goal, judged
from tests.bench.learning.ours import Freshet
from tests.bench.learning.prepared import Prepared, prepare
from tests.bench.learning.protocol import Delays, Stream, windows
from tests.bench.learning.sets import DAY, SETS, Source

ALPHA, PEEK = 0.05, 10
AT_ONCE = Delays(median=1.0, p90=2.0, attribution=DAY)
"""Labels that settle with their window: what is measured here is the race, not the wait."""
State = dict[str, NDArray[np.generic]]
KINDS = ("normal", "skewed", "heavy", "drifting")


class NoBase:
    """Stands where the frozen base does, whose scores nobody looks at here."""

    def predict(self, batch: Batch) -> NDArray[np.float32]:
        """Zeros."""
        return np.zeros((len(batch), 1), np.float32)


@dataclass(frozen=True)
class Raced:
    """A stream that was raced through."""

    windows: int
    lists: int
    promoted: int | None
    """Lists shown before the window in which a challenger took over."""
    standing: Standing


def main() -> int:
    """All four; 0 where every goal is reached."""
    arguments = _arguments()
    torch.set_num_threads(1)
    wrong = {kind: simulated(kind, arguments.streams, arguments.lists) for kind in KINDS}
    for kind, (sequence, once) in wrong.items():
        print(f"A/A, simulated, {kind:9} {sequence:6.1%} of {arguments.streams} promote wrongly; looked at as if once, {once:.1%}")
    prepared = prepare(SETS["complete_journey_sample"], Source(Path(), arguments.cache), arguments.share)
    stream = Stream.of(prepared.stream.batch, AT_ONCE, prepared.of.warm)
    task, promoted = prepared.of.task, 0
    state = _pretrained(prepared, stream, task)
    for seed in range(8, 8 + arguments.real):
        other = msgspec.structs.replace(task.learning, seed=seed)
        twin = _pretrained(prepared, stream, msgspec.structs.replace(task, learning=other))
        found = raced(prepared, stream, task, state, task.learning, other, twin)
        promoted += found.promoted is not None
        print(f"A/A, learner, seed {seed}: {_told(found)}", flush=True)
    learning = task.learning
    fast = msgspec.structs.replace(learning, row_rate=100 * learning.row_rate, dense_rate=100 * learning.dense_rate)
    start = raced(prepared, stream, task, state, fast, learning)
    print(f"bad start: {_told(start)}")
    for challengers, seconds in enumerate(prices(prepared, stream, task, state), 0):
        print(f"{challengers} challengers: {seconds:.1f} CPU-s for the same windows")
    return judged(
        Goal("A/A, simulated: streams that promote wrongly, worst kind", max(one for one, _ in wrong.values()), ALPHA),
        Goal(f"A/A, learner: of {arguments.real} streams, promoted", promoted, 0),
        Goal("bad start: share of the stream", None if start.promoted is None else start.promoted / start.lists, 0.1),
    )


def simulated(kind: str, streams: int, lists: int) -> tuple[float, float]:
    """Share of streams whose lower bound of the gain is above 0 at any window's end, by the race's interval and by a normal one.

    The margin is left out, and all of alpha is spent on the one comparison: the hardest that the race's rule may meet.
    """
    rng = np.random.default_rng(KINDS.index(kind))
    ever, once = 0, 0
    for _ in range(streams):
        gains = _gains(kind, lists, rng)
        ends = np.arange(PEEK - 1, lists, PEEK)
        total, squares, whole = (column.cumsum()[ends] for column in (gains, np.square(np.maximum(gains, -CUT)), np.square(gains)))
        ever += bool((total > _reaches(squares)).any())
        once += bool((total > 1.645 * np.sqrt(np.maximum(whole - total**2 / (ends + 1), 0))).any())
    return ever / streams, once / streams


def _reaches(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """:func:`reach` of every sum, between points of a grid by the larger one's neighbour below: never more than it."""
    grid = np.geomspace(1e-3, max(squares[-1], 1e-2), 400)
    known = np.array([reach(one, ALPHA) for one in grid])
    below = known[np.searchsorted(grid, squares, side="right") - 1]
    found: NDArray[np.float64] = np.where(squares < grid[0], reach(0.0, ALPHA), below)
    return found


def _gains(kind: str, lists: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gains with mean 0 whatever came before, but for ``drifting``: there the better one changes each 500 lists, worst first."""
    if kind == "skewed":  # a small gain mostly, and now and then a large loss
        return np.where(rng.random(lists) < 0.002, -0.998, 0.002)
    if kind == "heavy":
        return np.clip(0.02 * rng.standard_t(3, lists), -CUT, CUT)
    noise = rng.normal(0, 0.05, lists)
    return noise if kind == "normal" else noise + 0.005 * np.where(np.arange(lists) // 500 % 2, 1, -1)


def _pretrained(prepared: Prepared, stream: Stream, task: Task) -> State:
    """The state in which live learning begins."""
    model = Freshet(task, prepared.inputs, prepared.assortment, epochs=1)
    model.begin(stream, np.arange(stream.start))
    return model.learner.state()


def _champion(prepared: Prepared, task: Task, state: State) -> Learner:
    champion = Learner(task, prepared.inputs, prepared.assortment, torch.device("cpu"))
    champion.freeze(task.model.frozen)
    champion.load(state)
    return champion


def raced(
    prepared: Prepared, stream: Stream, task: Task, state: State, champion: LearningSettings, challenger: LearningSettings,
    twin: State | None = None,
) -> Raced:  # fmt: skip
    """Race a champion and a challenger from the pretrained state to the stream's end, or to the promotion.

    With ``twin`` the challenger begins in that state instead.
    """
    task = msgspec.structs.replace(task, learning=champion, challengers=(challenger,))
    race = Race(_champion(prepared, task, state))
    race.judge(())
    race.follow(race.turn(), 0)
    if twin:
        race.challengers["c1"].load(twin)
    return _run(race, task, stream, (known.examples() for known in windows(stream, DAY)))


def _run(race: Race, task: Task, stream: Stream, batches: Iterable[Batch]) -> Raced:
    prequential = Prequential(task.labels[0], 0.0, task.gate.rows, NoBase())
    seen, number, total = 0, 0, len(stream.batch.time) - stream.start
    for number, batch in enumerate(batches, 1):
        if race.follow(race.turn(), number):
            return Raced(number, total, seen, race.standing)
        prequential.test(race.champion, batch, float(number), race.challengers)
        race.judge(prequential.ripen(float(number)), prequential.settled)
        race.learn(batch, number)
        seen += int((~batch.kinds).sum())
    return Raced(number, total, None, race.standing)


def prices(prepared: Prepared, stream: Stream, task: Task, state: State, count: int = 12) -> Iterable[float]:
    """CPU-seconds to test and learn the first windows with 0, 1, ... 4 challengers."""
    batches = [known.examples() for known, _ in zip(windows(stream, DAY), range(count), strict=False)]
    for challengers in range(5):
        others = tuple(msgspec.structs.replace(task.learning, seed=100 + n) for n in range(challengers))
        race = Race(_champion(prepared, msgspec.structs.replace(task, challengers=others), state))
        race.judge(())
        race.follow(race.turn(), 0)
        began = time.process_time()
        _run(race, task, stream, batches)
        yield time.process_time() - began


def _told(found: Raced) -> str:
    ended = [*found.standing.challengers, *found.standing.past]
    said = ", ".join(f"{one.name} gained {one.evidence.mean:+.5f} in {one.evidence.lists:,} lists" for one in ended if one.test)
    if found.promoted is None:
        return f"nobody promoted in {found.lists:,} lists ({said})"
    return f"promoted after {found.promoted:,} of {found.lists:,} lists ({found.promoted / found.lists:.1%})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1_000, help="simulated, of each kind")
    parser.add_argument("--lists", type=int, default=20_000, help="in a simulated stream")
    parser.add_argument("--real", type=int, default=3, help="A/A streams through the learner")
    parser.add_argument("--share", type=float, default=0.03, help="of the households")
    parser.add_argument("--cache", type=Path, default=ROOT / ".state" / "bench" / "learning")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
