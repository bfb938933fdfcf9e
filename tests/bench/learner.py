"""``python -m tests.bench.learner``: rows a second that the learner tests and learns at the demo shape, beside torch's SparseAdam.

On the CPU it is one thread, and seconds are the process' own; with ``--device cuda`` they are the wall's, and the GPU's work is
waited for at either end of each step.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from services.updater.learning.batches import Batcher
from services.updater.learning.catalogue import Assortment, build
from services.updater.learning.delays import loss
from services.updater.learning.device import choose
from services.updater.learning.learner import Learner
from services.updater.learning.model import Ranker
from services.updater.learning.optimiser import Optimiser
from services.updater.learning.steps import Step
from services.updater.learning.trainer import Trainer
from shared.features.assemble import Assembler
from shared.keys import keys
from shared.messages import Example, Impression, Inputs, Item, Origin, Outcome
from shared.tasks import RANKING, LearningSettings
from tests.bench.goals import Goal, judged
from tests.features import plans

TO_REACH = 40_000
ITEMS, USERS, LIST = 20_000, 5_000, 10
T = TypeVar("T")


@dataclass
class Clock:
    """Seconds spent in each step."""

    device: torch.device
    spent: dict[str, float] = field(default_factory=dict)

    def timed(self, step: str, do: Callable[[], T]) -> T:
        """Do it, and count its seconds."""
        began = self._now()
        done = do()
        self.spent[step] = self.spent.get(step, 0.0) + self._now() - began
        return done

    def _now(self) -> float:
        if self.device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


class Sparse(Trainer):
    """The same steps on torch's own parts: one sparse embedding under SparseAdam, the dense weights under AdamW as ever."""

    def __init__(self, model: Ranker, optimiser: Optimiser, settings: LearningSettings) -> None:
        super().__init__(model, optimiser, settings)
        self.rows = nn.Embedding.from_pretrained(optimiser.tables.values, freeze=False, sparse=True)  # type: ignore[no-untyped-call]
        self.sparse = torch.optim.SparseAdam(self.rows.parameters(), lr=1e-3)

    @property
    def records(self) -> bool:
        """SparseAdam cannot be recorded."""
        return False

    def _move(self, step: Step) -> None:
        logits = self.model(self.rows(step.where[step.places]), step.text, step.profile, step.pooled, step.dense, step.log_odds)
        targets = step.labels, step.late, step.weights, step.share
        torch.autograd.backward(loss(self.settings.late, logits, *targets, self.settings.batch, self.settings.correction_clip))
        self.sparse.step()  # type: ignore[no-untyped-call]
        self.sparse.zero_grad()
        self.optimiser.dense.step()
        self.optimiser.dense.zero_grad(set_to_none=False)


def main(given: list[str] | None = None) -> int:
    """Measure each step of a window by itself, and all together; 0 when the goal is reached, which is the CPU's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000, help="rows in a window")
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args(given)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("skipped: torch finds no CUDA device here, so that nothing was measured")
        return 0
    device = choose(arguments.device)
    clock, inputs = Clock(device), Assembler(plans(), RANKING.context).inputs
    windows = [_examples(inputs, arguments.rows // LIST, number) for number in range(arguments.windows)]
    _measure(clock, inputs, windows)
    rows = sum(len(one.impression.items) for examples in windows for one in examples)
    print(f"{torch.cuda.get_device_name() if device.type == 'cuda' else 'one thread of the CPU'}, torch {torch.__version__}")
    for step, spent in clock.spent.items():
        print(f"{step:24} {rows / spent:10,.0f} rows/s")
    print(f"{'resident':24} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")
    width, learned = len(inputs.user) + len(inputs.candidate), rows / clock.spent["learn"]
    if device.type == "cuda":
        return 0
    return judged(Goal(f"rows learned a second, at {width} dense inputs", learned, TO_REACH, at_least=True))


def _measure(clock: Clock, inputs: Inputs, windows: list[list[Example]]) -> None:
    """Both learners on the same batches, window by window in turn; the first window, which allocates, is learned before."""
    assortment = _assortment()
    learner, batcher = Learner(RANKING, inputs, assortment, clock.device), Batcher(inputs, RANKING.labels, assortment)
    sparse = Learner(RANKING, inputs, assortment, clock.device)
    sparse.trainer = Sparse(sparse.model, sparse.optimiser, RANKING.learning)
    first, _ = batcher.batch(windows[0], lambda _: True)
    for one in (learner, sparse):
        one.start_at(0.5, first.numbers())
        one.learn(first, 1)
    for number, examples in enumerate(windows, 2):
        batch, _ = clock.timed("make the batch", partial(batcher.batch, examples, lambda _: True))
        clock.timed("predict", partial(learner.predict, batch))
        clock.timed("learn", partial(learner.learn, batch, number))
        clock.timed("learn with SparseAdam", partial(sparse.learn, batch, number))


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
