"""``python -m tests.bench.learner``: rows a second that the learner tests and learns, on one thread, at the demo's shape."""

import argparse
import resource
import sys
import time
from datetime import UTC, datetime

import numpy as np

from services.updater.batches import Batch, Batcher
from services.updater.catalogue import Assortment, build
from services.updater.device import choose
from services.updater.learner import Learner
from shared.features.assemble import Assembler
from shared.keys import keys
from shared.messages import Example, Impression, Inputs, Item, Origin, Outcome
from shared.tasks import RANKING
from tests.bench.goals import Goal, judged
from tests.features import plans

TO_REACH = 40_000
ITEMS, USERS, LIST = 20_000, 5_000, 10


def main() -> int:
    """Measure each step of a window by itself, and all together; 0 when the goal is reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000, help="rows in a window")
    parser.add_argument("--windows", type=int, default=20)
    arguments = parser.parse_args()
    inputs, assortment = Assembler(plans(), RANKING.context).inputs, _assortment()
    learner, batcher = Learner(RANKING, inputs, assortment, choose()), Batcher(inputs, RANKING.labels, assortment)
    windows = [_examples(inputs, arguments.rows // LIST, number) for number in range(arguments.windows)]
    seconds = {"make the batch": 0.0, "predict": 0.0, "learn": 0.0}
    learner.learn(batcher.batch(windows[0], lambda _: True)[0], 1)  # the first one allocates
    for number, examples in enumerate(windows, 2):
        batch = _timed(seconds, "make the batch", lambda examples=examples: batcher.batch(examples, lambda _: True)[0])
        _timed(seconds, "predict", lambda batch=batch: learner.predict(batch))
        _timed(seconds, "learn", lambda batch=batch, number=number: learner.learn(batch, number))
    rows = sum(len(one.impression.items) for examples in windows for one in examples)
    for step, spent in seconds.items():
        print(f"{step:16} {rows / spent:10,.0f} rows/s")
    print(f"{'resident':16} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")
    width = len(inputs.user) + len(inputs.candidate)
    return judged(Goal(f"rows learned a second, at {width} dense inputs", rows / seconds["learn"], TO_REACH, at_least=True))


def _timed(seconds: dict[str, float], step: str, do: object) -> Batch:
    began = time.process_time()
    done: Batch = do()  # type: ignore[operator]
    seconds[step] += time.process_time() - began
    return done


def _assortment() -> Assortment:
    rng, when = np.random.default_rng(1), datetime(2017, 1, 1, tzinfo=UTC)
    vectors = rng.normal(size=(2_000, RANKING.model.text_dim)).astype(np.float16)
    lines = [
        Item(item_id=f"i{n}", time=when, title=f"t{n % 2_000}", category=f"c{n % 300}", brand=f"b{n % 1_000}") for n in range(ITEMS)
    ]
    assortment = Assortment(RANKING.model.text_dim)
    assortment.add(build(lines, {f"t{n}": vector for n, vector in enumerate(vectors)}, RANKING.model.text_dim))
    return assortment


def _examples(inputs: Inputs, lists: int, window: int) -> list[Example]:
    rng = np.random.default_rng(window)
    users, candidates = rng.exponential(5, (lists, len(inputs.user))), rng.exponential(5, (lists, LIST, len(inputs.candidate)))
    return [
        Example(
            kind="list",
            origin=Origin("impressions", 0, window * lists + n),
            impression=Impression(
                request_id="r", task="ranking", user_id=f"u{rng.integers(0, USERS)}", time=1.5e9 + 60.0 * (window * lists + n),
                bundle="", inputs=inputs, items=tuple(f"i{i}" for i in rng.integers(0, ITEMS, LIST)),
                scores=bytes(4 * LIST), user_features=users[n].astype(np.float32).tobytes(),
                candidate_features=candidates[n].astype(np.float32).tobytes(),
                history=keys(f"i{i}" for i in rng.integers(0, ITEMS, 64)).tobytes(),
                history_weights=np.ones(64, np.float32).tobytes(),
            ),
            outcomes=(Outcome(index=0, action="purchase", partition=0, offset=n, time=0.0, delay=0.0),),
        )
        for n in range(lists)
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
