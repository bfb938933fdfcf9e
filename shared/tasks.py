"""What is learned: each task declared in one place. A new application is a new task."""

from typing import Literal

import msgspec

from shared.errors import BadSettings

CAPACITY = {"user": 100_000, "item": 200_000, "category": 4_096, "brand": 8_192, "hour": 32, "weekday": 8}
CHALLENGERS = 4
"""At most so many learn beside the champion."""


class ModelSettings(msgspec.Struct, frozen=True):
    """The model's shape; see ``shared/model/README.md``. The defaults are the measured ones for more than 200k events."""

    dim: int = 16
    hidden: tuple[int, ...] = (128, 64)
    text_dim: int = 384
    frozen: tuple[str, ...] = ("text",)
    """Parts that never change after pretraining: ``text`` is the encoder's vectors; any dense part or table may join."""
    pooling: bool = True
    """Whether a shopper's profile holds, beside the texts of the items in their history, those items' learned vectors: what goes
    with what, as those who deal with both have shown. Not where the model goes without ``item``."""
    bins: int = 8
    """For each dense feature, between the quantiles of history; 0 for none. What a number says may bend there, without and with the
    other numbers. More where the model goes without ids and numbers are what it has."""
    capacity: dict[str, int] = msgspec.field(default_factory=lambda: dict(CAPACITY))
    """Rows of each id table, allocated at once in serving."""
    without: tuple[str, ...] = ()
    """Id tables that the model goes without, from the import of history on: their rows say nothing and never move. Where an id is
    seen a few times, ``user`` and ``item`` tell less than they cost; text, counters and context are what is left."""


class LearningSettings(msgspec.Struct, frozen=True):
    """How weights move. Rates per step of a batch of ``batch`` rows; see ``services/updater/learning/README.md``."""

    batch: int = 256
    row_optimiser: Literal["adagrad", "ftrl", "sgd"] = "adagrad"
    """Moves the tables' rows; the dense weights always go by AdamW."""
    row_rate: float = 0.03
    row_l1: float = 0.0
    """FTRL's alone: below so large a sum of gradients a weight is 0."""
    row_l2: float = 0.0
    """FTRL's alone."""
    row_decay: float = 0.99
    """Of the squared gradients that Adagrad and FTRL sum, once each ``decay_rows`` learned rows (the study's window); 0.95 where
    the shop changes abruptly, which did better than any rate that follows a detector of drift."""
    decay_rows: int = 20_000
    dense_rate: float = 1e-3
    average: int = 80
    """Steps over which the dense weights are averaged for what predicts and is served; 0 serves those of the last step."""
    rehearsal: float = 0.0
    """Of what was learned last, the lists that are learned again beside a window's, for each of its own; 0 for none."""
    remembered: int = 20_000
    """Rows of which these are drawn: the newest."""
    weight_decay: float = 0.01
    dropout: float = 0.1
    clip: float = 1.0
    loss_weights: dict[str, float] = msgspec.field(default_factory=dict)
    """What a label counts in the loss; 1 where absent."""
    late: Literal["correct", "weigh", "expect"] = "correct"
    """What is made of positives that come after their list was learned; see ``services/updater/learning/delays.py``."""
    correction_clip: float = 4.0
    """The most of a negative's paid loss that a correction takes back."""
    admission: dict[str, int] = msgspec.field(default_factory=dict)
    """Sightings before an id gets a row, by table; 1 where absent."""
    expiry: float = 180 * 86_400.0
    """Seconds of event time after which an id that was not seen gives its row back."""
    seed: int = 7


class GateSettings(msgspec.Struct, frozen=True):
    """When a bundle may not be served."""

    margin: float = 0.02
    """Log loss by which the learned model may be worse than the frozen base over the recent ripe rows."""
    rows: int = 20_000
    canary_shift: float = 0.35
    """Largest mean change of the canaries' probability against the serving bundle."""
    max_norm: float = 1e3


class RaceSettings(msgspec.Struct, frozen=True):
    """When a challenger takes the champion's place; see ``services/updater/race/README.md``."""

    alpha: float = 0.05
    """How often a race may ever promote a configuration that gains no more than ``margin``."""
    margin: float = 0.001
    """Log loss by which a challenger must surely be better; one that surely is not leaves the race."""
    calibration: float = 0.005
    """Calibration error by which it may be worse over the recent settled rows."""
    exposure: float = 0.5
    """Of what cold items are due, the least share that it gives them: due is the champion's share of first places that go to
    cold items, or their share of what was bought where that is less."""
    proposed: int = 0
    """How many challengers are proposed at a time from the results so far; needs the extra ``tuning``."""


class BreakerSettings(msgspec.Struct, frozen=True):
    """When a stream is too strange to be learned; see ``services/updater/guards/breaker.py``."""

    loss: float = 2.5
    """Times its usual level that the frozen base's loss may be; infinite: whatever it is."""
    positives: float = 4.0
    """Times its usual level that the share of positives may be, and its part that it may fall to."""
    still: bool = False
    """Whether an input that stands still stops learning, besides being told of; learning on has been measured to do less harm."""
    calm_s: float = 60.0
    """Seconds that a stream must be as usual before it is learned again."""
    alarm: float = 8.0
    """The cumulated sum at which an item is a suspect; infinite: none ever is."""
    slack: float = 0.2
    """What a row's label may be above the frozen base's expectation."""


class Task(msgspec.Struct, frozen=True):
    """One thing to predict, with what it is predicted from and how it is learned."""

    name: str
    labels: tuple[str, ...]
    """Actions, one head each; the first is the score that ranks."""
    context: tuple[str, ...] = ()
    """Numbers that the shop sends with each candidate, such as a promotion."""
    wait: float = 1.0
    """Seconds in which an outcome is part of its impression's example; a later one is a correction."""
    attribution: float = 1_800.0
    """Seconds in which an outcome may answer an impression."""
    model: ModelSettings = ModelSettings()
    learning: LearningSettings = LearningSettings()
    gate: GateSettings = GateSettings()
    breaker: BreakerSettings = BreakerSettings()
    calibrator: Literal["none", "platt", "isotonic"] = "isotonic"
    """Corrects the first label's scores, where settled rows show that it helps; see ``services/updater/learning/README.md``."""
    challengers: tuple[LearningSettings, ...] = ()
    """Other ways to learn, which learn the same windows beside ``learning``, at its price each; see ``race``."""
    race: RaceSettings = RaceSettings()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            BadSettings: says what.
        """
        for name in set(self.model.without) - self.model.capacity.keys():
            raise BadSettings(f"task {self.name!r} goes without {name!r}, which is no id table")
        for name in self.learning.loss_weights.keys() - set(self.labels):
            raise BadSettings(f"task {self.name!r} weighs the loss of {name!r}, which is no label of it")
        if len(self.challengers) + self.race.proposed > CHALLENGERS:
            raise BadSettings(f"task {self.name!r} has more than {CHALLENGERS} challengers, proposed ones included")


RANKING = Task(name="ranking", labels=("purchase",), context=("display", "mailer"))
"""The default: which of the shown products does this shopper buy? One label, for the demo's data holds purchases alone; a shop that
tells its clicks and carts names them beside it, a head each."""

TASKS = {task.name: task for task in (RANKING,)}


def task(name: str) -> Task:
    """The declared task of this name.

    Raises:
        BadSettings: no such task.
    """
    try:
        return TASKS[name]
    except KeyError:
        raise BadSettings(f"FRESHET_TASK={name!r} is not declared in shared/tasks.py; there is {', '.join(TASKS)}") from None
