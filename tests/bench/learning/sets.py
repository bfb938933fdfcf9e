"""The public sets: how each is read, what is learned of it, and how it is played."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.datasets import clickstreams, online_retail, open_bandit, repeats, trivago
from shared.datasets.complete_journey import Journey
from shared.datasets.moments import Shop
from shared.datasets.movielens import MovieLens
from shared.datasets.open_bandit import OpenBandit
from shared.datasets.trivago import Trivago
from shared.tasks import LearningSettings, ModelSettings, Task
from tests.bench.learning.journey import RepeatingJourney
from tests.bench.learning.protocol import Delays

DAY, HOUR = 86_400.0, 3_600.0


@dataclass(frozen=True)
class Source:
    """Where sets are read from.

    Args:
        data: the folder that the user has put them into.
        cache: a folder of our own.
    """

    data: Path
    cache: Path


@dataclass(frozen=True)
class PublicSet:
    """One public set.

    Args:
        name: of its metrics.
        about: one sentence for the page: what a list is, and where negatives come from.
        read: the shop, from its source, with so much of it and a seed.
        share: how much of the set is played by default.
        task: what is learned, and how.
        window: seconds after which the model learns.
        delays: of the labels.
        models: who plays, see ``contestants.py``.
        warm: share of the lists that is history.
        settings: of models that choose none here, as trying takes hours, or history chose what is weaker live.
    """

    name: str
    about: str
    read: Callable[["Source", float, int], Shop]
    share: float
    task: Task
    window: float
    delays: Delays
    models: tuple[str, ...]
    warm: float = 0.3
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def _task(
    label: str, context: tuple[str, ...] = (), hidden: tuple[int, ...] = (128, 64), wait: float = 0.0, **learning: object
) -> Task:
    return Task(
        name="ranking", labels=(label,), context=context, wait=wait, model=ModelSettings(hidden=hidden),
        learning=LearningSettings(**learning),  # type: ignore[arg-type]
    )  # fmt: skip


HOUSEHOLDS = 2_469
AGES = ("1min", "10min", "1h", "6h", "1d", "7d")
MISHAPS = ("lost_1%", "lost_10%", "lost_50%", "late_1", "late_5")
ALWAYS = (
    "freshet", "freshet_rehearsal", "freshet_no_bins", "freshet_no_counters", "frozen", "frozen_counters",
    "vowpal_wabbit", "river_lr", "river_fm",
)  # fmt: skip
DELAYED = ("freshet_weigh", "freshet_expect")
NO_IDS = {"row_rate": 0.01, "without": ("user", "item"), "dropout": 0.0, "bins": 16}
"""For few events an id: numbers are what is left, and are told apart more finely."""
TEXT = ("freshet_no_pooling", "freshet_no_text", "freshet_ids", "freshet_ids_text", "freshet_ids_alone")


def _journey(source: Source, share: float, seed: int) -> RepeatingJourney:
    return RepeatingJourney(Journey.load(round(share * HOUSEHOLDS), seed, cache=source.cache))


def ages(*without: str) -> tuple[str, ...]:
    """Every age of the served snapshot but these: the set's own window, and what is longer than the set."""
    return tuple(f"age_{age}" for age in AGES if age not in without)


SETS = {
    one.name: one
    for one in (
        PublicSet(
            name="online_retail",
            about=(
                "UCI Online Retail. A list is a line of a customer's invoice among four other products, sampled ∝ √sales from what "
                "the shop sold in the 28 days before; the lists of an invoice are predicted together."
            ),
            read=lambda source, share, seed: online_retail.load(source.data / "online_retail", share, seed),
            share=0.25,
            task=_task("purchase"),
            window=DAY,
            delays=Delays(median=600.0, p90=7_200.0, attribution=DAY),
            models=(
                *ALWAYS,
                *TEXT,
                *DELAYED,
                "vowpal_wabbit_ids",
                "lightgbm_static",
                "lightgbm_weekly",
                "retrained_weekly",
                "retrained_14d_no_counters",
                "freshet_no_counters_rehearsal",
                *ages("1d"),
                *MISHAPS,
            ),
        ),
        PublicSet(
            name="trivago",
            about=(
                "trivago, RecSys Challenge 2019 (a sample of two days). A list is the hotels of a click-out as they were shown; "
                "exactly one was clicked. No text. The session's earlier views and lists come with each hotel as context."
            ),
            read=lambda source, share, seed: Trivago(source.data / "trivago"),
            share=1.0,
            task=_task("click", trivago.CONTEXT, (64, 32), batch=64),
            window=600.0,
            delays=Delays(median=30.0, p90=300.0, attribution=1_800.0),
            models=(
                *ALWAYS,
                *DELAYED,
                "shown_order",
                "lightgbm_static",
                "lightgbm_6h",
                "retrained_6h",
                *ages("10min", "7d"),
                *MISHAPS,
            ),
        ),
        PublicSet(
            name="complete_journey_sample",
            about=(
                "The Complete Journey. A list is a line of a household's basket among nine other products, sampled ∝ √sales from "
                "what these households bought in the 28 days before; the lists of a basket are predicted together."
            ),
            read=_journey,
            share=0.06,
            task=_task("purchase", ("display", "mailer", *repeats.COUNTED)),
            window=DAY,
            delays=Delays(median=600.0, p90=7_200.0, attribution=DAY),
            models=(
                *ALWAYS,
                *TEXT,
                "sales",
                "bought_before",
                "baskets_before",
                "lightgbm_static",
                "lightgbm_weekly",
                "retrained_weekly",
                *ages("1d"),
            ),
        ),
        PublicSet(
            name="complete_journey",
            about=(
                "The Complete Journey, all of its households: negatives come from what the whole shop sold in the 28 days before. "
                "Each candidate says besides whether it was bought before, how near its usual gap, and how lately. Trying settings "
                "takes hours here: freshet takes what was chosen on this history when lists did not wait for their labels, its "
                "frozen twin the same, Vowpal Wabbit and LightGBM what was chosen for the sample; nobody trains anew. That lists "
                "wait 6 h was chosen by what the first 21 live days showed, not on history. History cannot tell 16 bins from 8 or "
                "none, so there are 16, as wherever ids are left out."
            ),
            read=_journey,
            share=1.0,
            task=_task("purchase", ("display", "mailer", *repeats.CONTEXT), wait=6 * HOUR),
            window=DAY,
            delays=Delays(median=600.0, p90=7_200.0, attribution=DAY),
            models=(
                "freshet",
                "freshet_no_bins",
                "frozen_counters",
                "bought_before",
                "baskets_before",
                "vowpal_wabbit",
                "lightgbm_static",
            ),
            settings={
                "freshet": NO_IDS,
                "frozen_counters": NO_IDS,
                "vowpal_wabbit": {"arguments": "-q uw -q ic"},
                "lightgbm_static": {"learning_rate": 0.05, "num_leaves": 31, "rounds": 200},
            },
        ),
        PublicSet(
            name="movielens_100k",
            about=(
                "MovieLens-100K. A list is one film that a user rated, positive where the rating is 4 or 5; nothing is sampled. "
                "The rating is told at once. The files come from the owner, or out of RecBole's package. History cannot tell "
                "models with ids from those without (freshet's log loss there differs by less than its seeds do), which are weaker "
                "live: freshet and the frozen base with counters keep their ids."
            ),
            read=lambda source, share, seed: MovieLens(source.data / "movielens_100k"),
            share=1.0,
            task=_task("purchase", (), (64, 32), batch=64),
            window=HOUR,
            delays=Delays(median=1.0, p90=5.0, attribution=60.0),
            models=(
                *ALWAYS,
                *TEXT,
                "lightgbm_static",
                "lightgbm_weekly",
                "lightgbm_daily",
                "retrained_weekly",
                "retrained_daily",
                *ages("1h"),
            ),
            settings={"freshet": {"row_rate": 0.01}, "frozen_counters": {"row_rate": 0.01}},
        ),
        PublicSet(
            name="open_bandit",
            about=(
                "Open Bandit, the uniformly random policy's log. A list is one shown item, clicked or not; no text. So few clicks "
                "tell no AUC from chance: what the set can show is calibration at half a percent."
            ),
            read=lambda source, share, seed: OpenBandit(source.data / "open_bandit", "random"),
            share=1.0,
            task=_task("click", open_bandit.CONTEXT, (64, 32), batch=64),
            window=HOUR,
            delays=Delays(median=30.0, p90=300.0, attribution=1_800.0),
            models=(*ALWAYS, "lightgbm_static", "lightgbm_daily", "retrained_daily", *ages("1h", "7d")),
        ),
        PublicSet(
            name="rees46",
            about=(
                "REES46, three hours of a multi-category shop. A list is an item that was looked at among nine others, sampled "
                "∝ √views from what was looked at before; no text."
            ),
            read=lambda source, share, seed: clickstreams.rees46(source.data / "rees46_oct2019", seed),
            share=1.0,
            task=_task("view", (), (64, 32), batch=64),
            window=60.0,
            delays=Delays(median=5.0, p90=60.0, attribution=1_800.0),
            models=(*ALWAYS, *DELAYED, "views", "seen_before", "lightgbm_static", "age_10min", "age_1h"),
        ),
        PublicSet(
            name="retail_rocket",
            about=(
                "RetailRocket, months of a shop's clicks. A list is an item that a visitor looked at among nine others, sampled "
                "∝ √views from what was looked at in the 28 days before; no text, no category, no price."
            ),
            read=lambda source, share, seed: clickstreams.retail_rocket(source.data / "retail_rocket", share, seed),
            share=0.05,
            task=_task("view", (), (64, 32)),
            window=HOUR,
            delays=Delays(median=5.0, p90=60.0, attribution=1_800.0),
            models=(*ALWAYS, "views", "seen_before", "lightgbm_static", "lightgbm_weekly", "retrained_weekly"),
        ),
    )
}
