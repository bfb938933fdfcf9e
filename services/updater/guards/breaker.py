"""Stops learning where the stream is too strange to be learned from, and begins again once it is as usual.

It looks at a window before its plan is written, and what it decides stands in the plan: weights stay a function of log, plans and
settings, a replay decides nothing, and what was skipped can be learned later (``freshet bundles restore VERSION --learn-skipped``).
Four things are looked at, list by list, each against its own usual level:

    loss         of the frozen base, which no attack can teach, far above the usual
    positives    the share of lists' labels that are positive, far above or below the usual
    inputs       one that moved from row to row stands still: all zeros, or missing
    items        that users younger than a day click more than the frozen base expects: suspects (``cusum.py``)

The first two skip the window, and all windows until the stream was as usual for ``calm_s``. An input that stands still is told of,
and skips windows only where the task says so. Suspects skip nothing: one item under attack is no reason to learn nothing of the
others. An operator may pause learning, and resume it: then what is seen from there on is the new usual. A change that only makes
learning harder is no reason to stop it, so the factors are wide.
"""

import threading
from collections.abc import Sequence

import msgspec
import numpy as np
from structlog.stdlib import BoundLogger

from services.updater import exported
from services.updater.evaluation.metrics import losses
from services.updater.evaluation.prequential import Model
from services.updater.guards.cusum import Cusum
from services.updater.guards.orders import Kept, Order
from services.updater.guards.signals import F8, Level, Stillness, again, kept
from services.updater.learning.batches import Batch
from shared.keys import key
from shared.messages import Example, Inputs, Verdict
from shared.tasks import BreakerSettings

RECENT = 50.0
"""Lists whose loss is looked at."""
EXPECTED = 100.0
"""Positives that the lists whose positives are looked at usually have."""


class Breaker:
    """Decides window by window, in their order.

    Args:
        base: the frozen base.
        inputs: of the batches that it is shown.
    """

    def __init__(self, settings: BreakerSettings, base: Model, inputs: Inputs, log: BoundLogger) -> None:
        self._settings, self._base, self._inputs, self._log = settings, base, inputs, log
        self._names = (*inputs.user, *inputs.candidate)
        self.loss, self.positives, self.still = Level(), Level(), Stillness(len(self._names))
        self.cusum = Cusum(settings)
        self._items: dict[int, str] = {}
        self._told: set[str] = set()  # inputs that stand still
        self.order = self._obeyed = Order()
        self.reason, self._until = "", 0.0
        self._turn = threading.Lock()

    def judge(self, examples: Sequence[Example], batch: Batch, now: float) -> Verdict:
        """What of a window is not learned.

        Args:
            examples: the window's.
            batch: what would be learned of them.
            now: the plan's time, seconds.
        """
        with self._turn:
            self._obey()
            expected = self._base.predict(batch)[:, 0].astype(np.float64)
            self._note(self._look(batch, expected), now)
            suspects = self._suspects(examples, batch, expected, now)
            return Verdict(skips="paused" if self.order.paused else self.reason, suspects=suspects)

    def _obey(self) -> None:
        if self.order.at <= self._obeyed.at:
            return
        self._obeyed = self.order
        self._log.warning("learning is paused" if self.order.paused else "learning is resumed: what comes is the new usual")
        if not self.order.paused:
            self.loss, self.positives, self.still = Level(), Level(), Stillness(len(self._names))
            self.reason = ""

    def _look(self, batch: Batch, expected: F8) -> str:
        """What is strange; empty where nothing is, and then this is usual."""
        lists = ~batch.kinds
        rows = lists[batch.list]
        if not lists.any():
            return self._strange()
        which = (np.cumsum(lists) - 1)[batch.list[rows]]
        labels = batch.labels[rows, 0].astype(np.float64)
        sizes = np.bincount(which)
        loss, positives = np.bincount(which, losses(labels, expected[rows])) / sizes, np.bincount(which, labels).astype(np.float64)
        features = np.concatenate([batch.user_features[batch.list[rows]], batch.candidate_features[rows]], axis=1)
        self.loss.see(loss, RECENT)
        self.positives.see(positives, max(RECENT, EXPECTED / max(self.positives.mean, 1e-6)))
        usual = not (self.reason or self.order.paused)
        self.still.see(features, np.r_[0, np.cumsum(sizes)[:-1]], usual)
        strange = self._strange()
        if usual and not strange:
            self.loss.learn(loss)
            self.positives.learn(positives)
        return strange

    def _strange(self) -> str:
        still = self._standing()
        if self.loss.above(self._settings.loss):
            return "loss"
        if self.positives.above(self._settings.positives) or self.positives.below(self._settings.positives):
            return "positives"
        return still[0] if still and self._settings.still else ""

    def _standing(self) -> list[str]:
        """The inputs that stand still; those that are new among them are told of."""
        still = [name for name, due in zip(self._names, self.still.overdue(), strict=True) if due]
        if new := set(still) - self._told:
            exported.alarms.labels("inputs").inc(len(new))
            self._log.error("inputs stand still", inputs=sorted(new))
        self._told = set(still)
        exported.still.set(len(still))
        return still

    def _note(self, strange: str, now: float) -> None:
        if strange:
            self._until = now + self._settings.calm_s
        if strange and not self.reason:
            self.reason = strange
            if strange not in self._names:
                exported.alarms.labels(strange).inc()
            self._log.error("learning stops: the stream is not as usual", reason=strange)
        elif self.reason and now >= self._until:
            self._log.warning("learning goes on: the stream is as usual again", reason=self.reason)
            self.reason = ""
        exported.learning_stopped.set(bool(self.reason or self.order.paused))

    def _suspects(self, examples: Sequence[Example], batch: Batch, expected: F8, now: float) -> tuple[str, ...]:
        """The items under suspicion, by id."""
        new = self.cusum.see(batch, expected, self._inputs, now)
        if new:
            shown = {key(item): item for example in examples for item in example.impression.items}
            self._items |= {item: shown[item] for item in new}
            exported.alarms.labels("items").inc(len(new))
            self._log.error("items that bots seem to push", items=sorted(shown[item] for item in new))
        self._items = {item: name for item, name in self._items.items() if item in self.cusum.suspects}
        exported.suspects.set(len(self._items))
        return tuple(sorted(self._items.values()))

    def state(self) -> bytes:
        """All that it knows, as JSON; may be called from another thread."""
        with self._turn:
            signals = {name: kept(signal) for name, signal in self._signals().items()}
            names = {str(item): name for item, name in self._items.items()}
            known = Kept(
                inputs=self._inputs, signals=signals, items=dict(self.cusum.state()), names=names, reason=self.reason,
                until=self._until, order=self._obeyed,
            )  # fmt: skip
            return msgspec.json.encode(known)

    def load(self, state: bytes) -> None:
        """Go on from :meth:`state`; a breaker of other inputs begins anew.

        Raises:
            msgspec.MsgspecError: it is no such state.
        """
        known = msgspec.json.decode(state, type=Kept)
        if known.inputs != self._inputs:
            return
        for name, signal in self._signals().items():
            again(signal, known.signals[name])
        self.cusum.load(known.items)
        self._items = {int(item): name for item, name in known.names.items()}
        self.reason, self._until = known.reason, known.until
        self.order = self._obeyed = known.order

    def _signals(self) -> dict[str, Level | Stillness]:
        return {"loss": self.loss, "positives": self.positives, "still": self.still}
