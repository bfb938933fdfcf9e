"""The model with all that it needs to go on learning: predict, learn, and everything a checkpoint must hold."""

from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import functional_call

from services.updater.learning import draws
from services.updater.learning.adoption import taken_over
from services.updater.learning.average import Average
from services.updater.learning.batches import Batch
from services.updater.learning.catalogue import Assortment
from services.updater.learning.columns import Columns
from services.updater.learning.cuts import joined, own_histories
from services.updater.learning.delays import Lateness
from services.updater.learning.device import moved
from services.updater.learning.memory import Memory
from services.updater.learning.model import Ranker
from services.updater.learning.normaliser import Moments, knots
from services.updater.learning.optimiser import Optimiser
from services.updater.learning.parallel import Together
from services.updater.learning.row_optimisers import row_optimiser
from services.updater.learning.rows import Arrays
from services.updater.learning.steps import Step, spans, steps_of
from services.updater.learning.tables import Tables
from services.updater.learning.trainer import Trainer
from shared.bundles.files import KNOTS, weights_sha256
from shared.messages import Inputs
from shared.model.numbers import Bins
from shared.tasks import Task

F4 = NDArray[np.float32]
PREDICTED = 4_096
"""Rows scored at once."""
SWEEP = 86_400.0
"""Event time between two sweeps of expired rows."""
AGE, YOUNG_S = "item.age_s", 7 * 86_400.0
"""The input that tells seconds since an item's first event, and below what an item is young."""


class Learner:
    """A task's model. The same batches in the same order make the same weights, bit for bit.

    Args:
        task: what is learned, and how.
        inputs: the dense features by name.
        assortment: what is known of the items; it grows by the catalogues that the plans name.
        device: see :func:`services.updater.learning.device.choose`.
    """

    def __init__(self, task: Task, inputs: Inputs, assortment: Assortment, device: torch.device) -> None:
        self.task, self.inputs, self.assortment, self.device = task, inputs, assortment, device
        self.frozen: tuple[str, ...] = ()
        torch.manual_seed(task.learning.seed)
        shape, labels = task.model, len(task.labels)
        columns = len(inputs.user) + len(inputs.candidate)
        pooling = shape.pooling and "item" not in shape.without
        self.knots = np.zeros((columns, shape.bins + 1), np.float32)
        dropout = task.learning.dropout
        self.model = Ranker(columns, labels, shape.dim, shape.hidden, shape.text_dim, dropout, pooling, shape.bins).to(device)
        rows = row_optimiser(task.learning, shape.dim)
        self.tables = Tables(shape.capacity, shape.dim, task.learning.seed, rows, device, task.learning.admission, shape.without)
        self.moments = Moments.of(columns)
        self.optimiser = Optimiser(self.model, self.tables, task.learning)
        self.trainer = Trainer(self.model, self.optimiser, task.learning)
        self.average = Average(self.optimiser.flat, task.learning.average * task.learning.batch)
        self.lateness = Lateness(labels)
        self.memory = Memory(task.learning.remembered if task.learning.rehearsal else 0)
        self.now = self.swept = 0.0  # event time of the newest row learned, and of the last sweep
        self.listed = 0  # lines of the assortment that have their rows

    def freeze(self, parts: tuple[str, ...]) -> None:
        """From now on these parts do not move; see ``ModelSettings.frozen``. ``normaliser`` may be among them."""
        self.frozen = parts
        self.optimiser.freeze(parts)
        self.trainer.forget()
        self._settle()

    def join(self, together: Together) -> None:
        """From now on each step is shared with other processes, which learn the same batches from the same state."""
        self.trainer.join(together)

    def start_at(self, rate: float, numbers: F4 | None = None) -> None:
        """Begin at this share of positives: the bias is its log-odds.

        Args:
            rate: above 0, below 1.
            numbers: (k, U + C) the dense features of rows of history, between whose quantiles bins lie from now on; without them
                bins say nothing.
        """
        if numbers is not None:
            self.knots = knots(numbers, self.task.model.bins)
        with torch.no_grad():
            self.model.bias.fill_(float(np.log(rate / (1 - rate))))
        self.average.begin()

    @torch.no_grad()
    def predict(self, batch: Batch) -> F4:
        """Probabilities as serving would give them; nothing is learned. Shape (n, L)."""
        self.model.eval()
        rows = torch.from_numpy(self.tables.find(batch.keys)).to(self.device)
        columns = self._columns(batch)
        parts = [
            torch.sigmoid(
                functional_call(self.model, self.average.values, (self.tables.values[rows[span]], *(one[span] for one in columns)))
            )
            for span in spans(len(batch), PREDICTED)
        ]
        return torch.cat(parts).cpu().numpy() if parts else np.zeros((0, len(self.task.labels)), np.float32)

    def new(self, batch: Batch) -> NDArray[np.bool_]:
        """Whether the user of each row has no row yet. Shape (n,)."""
        unknown: NDArray[np.bool_] = self.tables.owners["user"].find(batch.keys["user"]) == 0
        return unknown

    def young(self, batch: Batch) -> NDArray[np.bool_]:
        """Whether each row's item had its first event less than a week before, or none. Shape (n,); false if no input tells."""
        if AGE not in self.inputs.candidate:
            return np.zeros(len(batch), np.bool_)
        old: NDArray[np.bool_] = batch.candidate_features[:, self.inputs.candidate.index(AGE)] >= YOUNG_S
        return ~old

    def learn(self, batch: Batch, window: int, *, rehearse: bool = True) -> None:
        """One pass over a window's batch, in its order, and before it over what is to be rehearsed beside it.

        Items that joined the assortment since the last window get their rows first.

        Args:
            batch: the window's.
            window: its number, which fixes what is drawn to be rehearsed, and what dropout leaves out.
            rehearse: false where all is gone over several times anyway.
        """
        self.now = max(self.now, float(batch.time.max(initial=0.0)))
        self._enlist()
        if not len(batch):
            return
        self._measure(batch)
        self._expire()
        rows = self.tables.admit(batch.keys, batch.time[batch.list], batch.text)
        if rehearse and (again := self._again(batch, window)):
            rows = np.concatenate([*(self.tables.find(one.keys) for one in again), rows])
            steps = self._steps(joined([*again, own_histories(batch)]), rows)
        else:
            steps = self._steps(batch, rows)
        self.model.train()
        self.trainer.prepare(steps[0][1])
        draws.begin(self.task.learning.seed, window, self.device)
        for unique, step in steps:
            self.trainer.take(step)
            self.average.follow(len(step.places), self.optimiser.learned)
            self.tables.touched[unique[~self.optimiser.still[unique]]] = True
        self.lateness.fade(0.5 ** (len(batch) / self.task.learning.decay_rows))
        self.lateness.count(batch.labels, batch.late)
        self.memory.remember(batch)

    def dense(self) -> dict[str, F4]:
        """The dense weights that predict, by name, the normaliser's included. Views: copy what must not move."""
        weights: dict[str, F4] = {name: weight.cpu().numpy() for name, weight in self.average.values.items()}
        normaliser = self.moments.normaliser()
        binned = {KNOTS: self.knots} if self.task.model.bins else {}
        return weights | {"mean": normaliser.mean, "scale": normaliser.scale} | binned

    def trainable(self) -> tuple[str, ...]:
        """Names of what moves: tables and dense weights."""
        dense = [name for name, weight in self.model.named_parameters() if weight.requires_grad]
        normaliser = [] if "normaliser" in self.frozen else ["mean", "scale"]
        still = {*self.frozen, *self.tables.without}
        return tuple(name for name in self.tables.owners if name not in still) + tuple(dense + normaliser)

    def weights_sha256(self) -> str:
        """The hash that full bundles, deltas and checkpoints of these weights agree on."""
        return weights_sha256(self.tables.weights(), self.dense())

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that a checkpoint needs for :meth:`load` to go on bit for bit."""
        parts: dict[str, Arrays] = {
            "tables": self.tables.state(),
            "dense": {name: weight.detach().cpu().numpy().copy() for name, weight in self.model.named_parameters()},
            "average": self.average.state(),
            "optimiser": self.optimiser.state(),
            "moments": self.moments.state(),
            "lateness": self.lateness.state(),
            "memory": self.memory.state(),
            "learner": {
                "clock": np.array([self.now, self.swept]),
                "listed": np.array(self.listed),
                "inputs": np.frombuffer(msgspec.json.encode(self.inputs), np.uint8),
                KNOTS: self.knots.copy(),
            },
        }
        return {f"{part}/{name}": array for part, arrays in parts.items() for name, array in arrays.items()}

    def load(self, state: dict[str, NDArray[Any]]) -> None:
        """Become what :meth:`state` gave. Features are matched by name: one that the state lacks starts at weight zero, and so do
        pooling and bins; what was learned with other features is remembered no more.

        Raises:
            BadSettings: the task's model has another shape.
        """
        shapes = {name: tuple(weight.shape) for name, weight in self.model.named_parameters()}
        before, parts = taken_over(state, self.task, self.inputs, shapes)
        self.tables.load(parts["tables"])
        with torch.no_grad():
            for name, weight in self.model.named_parameters():
                weight.copy_(torch.from_numpy(parts["dense"][name].copy()))
        self.average.load(parts.get("average", parts["dense"]))
        self._settle()
        self.optimiser.load(parts["optimiser"])
        self.trainer.forget()
        self.moments = Moments.load(parts["moments"])
        self.lateness.load(parts.get("lateness", {}))
        self.memory.load(parts.get("memory", {}) if before == self.inputs else {})
        self.now, self.swept = parts["learner"]["clock"].tolist()
        self.listed = int(parts["learner"]["listed"])
        self.knots = np.array(parts["learner"].get(KNOTS, np.zeros_like(self.knots)), np.float32)

    def _settle(self) -> None:
        for name, weight in self.model.named_parameters():
            if not weight.requires_grad:
                self.average.settle(name)

    def _measure(self, batch: Batch) -> None:
        if "normaliser" in self.frozen:
            return
        lists = ~batch.kinds  # a correction's values were measured with its list
        width = len(self.inputs.user)
        self.moments.update(slice(0, width), batch.user_features[lists])
        self.moments.update(slice(width, None), batch.candidate_features[lists[batch.list]])

    def _again(self, batch: Batch, window: int) -> list[Batch]:
        """What is rehearsed beside a window; its count is rounded by chance, so that short windows get their share in the mean."""
        learning = self.task.learning
        random = np.random.default_rng([learning.seed, window])
        return self.memory.draw(int(learning.rehearsal * len(batch.kinds) + random.random()), random)

    def _enlist(self) -> None:
        if self.listed < len(self.assortment):
            keys, text = self.assortment.lines(self.listed)
            self.tables.enlist(keys, text, self.now)
            self.listed = len(self.assortment)

    def _expire(self) -> None:
        """Once in a day of event time: rows unseen for longer than ``expiry`` are given back, those of the assortment are not."""
        if self.now - self.swept >= SWEEP:
            self.swept = self.now
            self.tables.expire(self.now - self.task.learning.expiry, self.assortment.lines(0)[0])

    def _columns(self, batch: Batch) -> Columns:
        """What the model reads, normalised as of now; its bins lie as of now too."""
        normaliser, pooling = self.moments.normaliser(), self.model.pooling is not None
        self.model.place(Bins.of(self.knots, normaliser))
        return Columns.of(batch, self.assortment, self.tables, normaliser, pooling=pooling)

    def _steps(self, batch: Batch, rows: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], Step]]:
        """The batch, of these table rows (n, 6), in steps, each with its distinct table rows."""
        learning = self.task.learning
        weights = batch.counted * np.array([learning.loss_weights.get(label, 1.0) for label in self.task.labels], np.float32)
        targets = (moved(target, self.device) for target in (batch.labels, batch.late, weights))
        share = moved(self.lateness.share(), self.device)
        return steps_of(rows, learning.batch, [*self._columns(batch), *targets], share, alike=self.trainer.records)
