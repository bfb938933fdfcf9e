"""Who takes part: the project's learner, its frozen and retrained twins, and the rivals, each with the settings that it may try."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from services.updater.evaluation.metrics import log_loss
from services.updater.learning.batches import Batch
from shared.tasks import ModelSettings
from tests.bench.learning.measures import Judge
from tests.bench.learning.mishaps import Late, Lost
from tests.bench.learning.ours import WHOLE, Freshet, Frozen, Retrained, Sight, column
from tests.bench.learning.prepared import Prepared
from tests.bench.learning.protocol import F8, I8, Known, Model, Stream, replay
from tests.bench.learning.rivals import Boosted, River, Vowpal
from tests.bench.learning.sets import DAY, HOUR, NO_IDS

Setting = Mapping[str, Any]
Make = Callable[[Prepared, Setting, int], Model]
SLIGHT = 1e-4
SHAPE = ModelSettings.__struct_fields__
TUNED_ON = 0.3
"""The newest share of history that settings are chosen on, by log loss; the rest of history comes before it."""
LEARNING: tuple[Setting, ...] = (
    {},
    {"row_rate": 0.02},
    {"row_rate": 0.01},
    NO_IDS,
)
AGED: tuple[Setting, ...] = ({}, {"average": 0}, {"row_rate": 0.03}, {"row_rate": 0.03, "average": 0})
"""Beside what the set chose: short windows may want larger steps, and a mean over steps looks back over many of them."""
_STANDING: tuple[Setting, ...] = ({}, {"row_rate": 0.01}, {"row_rate": 0.01, "epochs": 3}, NO_IDS)
STANDING = (*_STANDING, *({**setting, "bins": 0} for setting in _STANDING))
"""What stands still may fare better without bins: counters leave those of history."""
TREES: tuple[Setting, ...] = (
    {"learning_rate": 0.08, "num_leaves": 63, "rounds": 100},
    {"learning_rate": 0.05, "num_leaves": 31, "rounds": 200},
    {"learning_rate": 0.1, "num_leaves": 15, "rounds": 150},
    {"learning_rate": 0.05, "num_leaves": 127, "rounds": 100},
)
WABBIT: tuple[Setting, ...] = (
    {"arguments": ""},
    {"arguments": "-q uw -q ic"},
    {"arguments": "-q uw -q ic -l 0.1"},
    {"arguments": "-q dd -l 0.1"},
)
WABBIT_OF_THE_STUDY: tuple[Setting, ...] = ({"arguments": "-q uw -q ic --ignore d"}, {"arguments": "-q uw -q ic --ignore d -l 0.1"})


@dataclass(frozen=True)
class Contestant:
    """One row of a table.

    Args:
        about: what it is, for the page.
        make: it, of a set, a setting and a seed.
        settings: what it may try on history; the first stands where there is but one.
        like: whose chosen setting it takes, before these.
        window: seconds after which it learns; the set's own where ``None``.
        draws: whether the seed matters.
        group: the table on the page.
    """

    about: str
    make: Make
    settings: tuple[Setting, ...] = ({},)
    like: str | None = None
    window: float | None = None
    draws: bool = True
    group: str = "models"


class Order:
    """Scores by one number of the row: an order, no probability."""

    def __init__(self, prepared: Prepared, name: str, sign: float, tie: str | None) -> None:
        self.inputs, self.name, self.sign, self.tie = prepared.inputs, name, sign, tie

    def begin(self, stream: Stream, lists: I8) -> None:
        """Nothing."""

    def predict(self, rows: Batch) -> F8:
        """The number squeezed into (0, 1)."""
        value = self.sign * np.nan_to_num(column(rows, self.inputs, self.name).astype(np.float64))
        if self.tie is not None:
            value += column(rows, self.inputs, self.tie) * SLIGHT
        return 0.5 + np.arctan(value) / np.pi

    def learn(self, known: Known) -> None:
        """Nothing."""


def order(name: str, sign: float = 1.0, tie: str | None = None) -> Make:
    """Scores by one input, ties by another."""
    return lambda prepared, setting, seed: Order(prepared, name, sign, tie)


def ours(kind: type[Freshet], sight: Sight = WHOLE, **more: Any) -> Callable[[Prepared, Setting, int], Freshet]:
    """The project's learner of this kind; a setting's ``epochs`` is the number of passes, the rest are the task's own."""

    def make(prepared: Prepared, setting: Setting, seed: int) -> Freshet:
        task = prepared.of.task
        shape = {name: tuple(value) if name == "without" else value for name, value in setting.items() if name in SHAPE}
        learning = {name: value for name, value in setting.items() if name not in ("epochs", *SHAPE)}
        task = msgspec.structs.replace(
            task,
            model=msgspec.structs.replace(task.model, **shape),
            learning=msgspec.structs.replace(task.learning, seed=seed, **learning),
        )
        return kind(task, prepared.inputs, prepared.assortment, sight, setting.get("epochs", 2), **more)

    return make


def vowpal(prepared: Prepared, setting: Setting, seed: int) -> Model:
    """Vowpal Wabbit with these arguments."""
    return Vowpal(prepared.seen, setting["arguments"])


def boosted(period: float) -> Make:
    """LightGBM, trained anew once in so many seconds."""

    def make(prepared: Prepared, setting: Setting, seed: int) -> Model:
        settings = {name: value for name, value in setting.items() if name != "rounds"}
        return Boosted(prepared.seen, settings | {"feature_fraction": 0.8}, setting["rounds"], period, seed)

    return make


def river_regression(prepared: Prepared, setting: Setting, seed: int) -> Model:
    """River's logistic regression with AdaGrad."""
    from river import linear_model, optim

    return River(prepared.seen, lambda: linear_model.LogisticRegression(optimizer=optim.AdaGrad(setting["rate"])), "uicwd")


def river_machine(prepared: Prepared, setting: Setting, seed: int) -> Model:
    """River's factorisation machine on ids."""
    from river import facto, optim

    rate = setting["rate"]
    make = lambda: facto.FMClassifier(  # noqa: E731
        n_factors=8, weight_optimizer=optim.AdaGrad(rate), latent_optimizer=optim.AdaGrad(rate / 2), seed=seed
    )
    return River(prepared.seen, make, "uic")


def mishap(kind: type[Lost] | type[Late], amount: float) -> Make:
    """The project's learner, some of whose windows are lost, or come late."""
    return lambda prepared, setting, seed: kind(ours(Freshet)(prepared, setting, seed), amount)


def without_kinds(sight: Sight) -> Make:
    """The project's learner that knows no item's category or brand."""
    make, kinds = ours(Freshet, sight), ("category", "brand")
    return lambda prepared, setting, seed: make(prepared, {**setting, "without": (*setting.get("without", ()), *kinds)}, seed)


def but(sight: Sight = WHOLE, **settings: Any) -> Make:
    """The project's learner with these settings beside those that it chose."""
    return lambda prepared, setting, seed: ours(Freshet, sight)(prepared, {**setting, **settings}, seed)


NO_COUNTERS, NO_TEXT, IDS = Sight(counters=False), Sight(text=False), Sight(text=False, counters=False)
REHEARSAL = 0.5
AGES = {"1 min": 60.0, "10 min": 600.0, "1 h": HOUR, "6 h": 6 * HOUR, "1 d": DAY, "7 d": 7 * DAY}
CONTESTANTS: dict[str, Contestant] = {
    "freshet": Contestant("the project's learner, all inputs", ours(Freshet), LEARNING),
    "freshet_no_counters": Contestant("the same without counters", ours(Freshet, NO_COUNTERS), like="freshet"),
    "freshet_no_text": Contestant("the same without text", ours(Freshet, NO_TEXT), like="freshet"),
    "freshet_no_pooling": Contestant("the same, items in a history not pooled", but(pooling=False), like="freshet"),
    "freshet_no_bins": Contestant("the same, numbers not in bins", but(bins=0), like="freshet"),
    "freshet_rehearsal": Contestant("the same, half as many lists rehearsed as are new", but(rehearsal=REHEARSAL), like="freshet"),
    "freshet_no_counters_rehearsal": Contestant("the same without counters", but(NO_COUNTERS, rehearsal=REHEARSAL), like="freshet"),
    "freshet_ids": Contestant("the same without counters and text", ours(Freshet, IDS), like="freshet"),
    "freshet_ids_alone": Contestant("the same without counters, text, category and brand", without_kinds(IDS), LEARNING),
    "freshet_ids_text": Contestant("the same without counters, category and brand", without_kinds(NO_COUNTERS), LEARNING),
    "freshet_weigh": Contestant("the same, late positives weighed", but(late="weigh"), like="freshet"),
    "freshet_expect": Contestant("the same, late positives expected", but(late="expect"), like="freshet"),
    "frozen": Contestant("base model, no counters, never learns on", ours(Frozen, NO_COUNTERS), STANDING),
    "frozen_counters": Contestant("base model, counters stay fresh, never learns on", ours(Frozen), STANDING),
    "retrained_weekly": Contestant(
        "the same model trained anew on everything each week", ours(Retrained, period=7 * DAY), like="frozen_counters"
    ),
    "retrained_daily": Contestant(
        "the same model trained anew on everything each day", ours(Retrained, period=DAY), like="frozen_counters"
    ),
    "retrained_14d_no_counters": Contestant(
        "the same model without counters, trained anew on everything each 14 days",
        ours(Retrained, NO_COUNTERS, period=14 * DAY),
        like="frozen",
    ),
    "retrained_6h": Contestant(
        "the same model trained anew on everything each 6 h", ours(Retrained, period=6 * HOUR), like="frozen_counters"
    ),
    "vowpal_wabbit": Contestant("Vowpal Wabbit, ids, title words and counters in bins", vowpal, WABBIT, draws=False),
    "vowpal_wabbit_ids": Contestant("Vowpal Wabbit, ids and title words alone", vowpal, WABBIT_OF_THE_STUDY, draws=False),
    "river_lr": Contestant(
        "River, logistic regression, the same tokens", river_regression, ({"rate": 0.1}, {"rate": 0.03}), draws=False
    ),
    "river_fm": Contestant("River, factorisation machine on ids", river_machine, ({"rate": 0.1}, {"rate": 0.03})),
    "shown_order": Contestant(
        "the order in which the list was shown", order("context.position", -1.0), draws=False, group="orders"
    ),
    "sales": Contestant("sales of the last week, decayed", order("item.purchases_7d"), draws=False, group="orders"),
    "views": Contestant("views of the last day, decayed", order("item.views_1d"), draws=False, group="orders"),
    "bought_before": Contestant("how often the user bought it, decayed", order("pair.bought"), draws=False, group="orders"),
    "baskets_before": Contestant(
        "baskets of the user that held it, then sales",
        order("context.repeat_times", tie="item.purchases_7d"),
        draws=False,
        group="orders",
    ),
    "seen_before": Contestant("how much the user dealt with it, decayed", order("pair.weight"), draws=False, group="orders"),
    "lightgbm_static": Contestant("LightGBM, trained once", boosted(np.inf), TREES),
    "lightgbm_weekly": Contestant("LightGBM, trained anew each week", boosted(7 * DAY), like="lightgbm_static"),
    "lightgbm_daily": Contestant("LightGBM, trained anew each day", boosted(DAY), like="lightgbm_static"),
    "lightgbm_6h": Contestant("LightGBM, trained anew each 6 h", boosted(6 * HOUR), like="lightgbm_static"),
    **{
        f"age_{name.replace(' ', '')}": Contestant(
            f"the served snapshot is up to {name} old", ours(Freshet), AGED, like="freshet", window=seconds, group="ages"
        )
        for name, seconds in AGES.items()
    },
    **{
        f"lost_{share:.0%}": Contestant(
            f"{share:.0%} of the windows are lost", mishap(Lost, share), like="freshet", group="mishaps"
        )
        for share in (0.01, 0.1, 0.5)
    },
    **{
        f"late_{windows}": Contestant(
            f"every window is learned so many windows late: {windows}", mishap(Late, windows), like="freshet", group="mishaps"
        )
        for windows in (1, 5)
    },
}


def tune(prepared: Prepared, contestant: Contestant, liked: Setting, seed: int) -> Setting:
    """The setting, over what it liked, with the lowest log loss on the newest part of history."""
    settings = [{**liked, **setting} for setting in contestant.settings]
    if len(settings) == 1:
        return settings[0]
    start = prepared.stream.start
    history = prepared.stream.part(int(start * (1 - TUNED_ON)), start)
    judge, window = Judge.of(history), contestant.window or prepared.of.window
    losses = [log_loss(judge.labels, replay(history, contestant.make(prepared, setting, seed), window)[0]) for setting in settings]
    return settings[int(np.argmin(losses))]
