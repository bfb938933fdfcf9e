"""What goes wrong, each with and without the safeguard against it, and what it costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from services.features.guard import Guard
from services.updater.evaluation.metrics import auc, log_loss
from shared.datasets.moments import Moment
from shared.messages import Example, Origin
from tests.bench.attacks.play import F8, TASK, Ready, Seen, played
from tests.bench.attacks.shop import APART, START, Shop, botnet, burst

HISTORY, LIVE = 3_000, 4_500
FROM, UNTIL = 2_200, 3_200
"""Live moments in which something is wrong; the rest is as usual."""
SHIFTED = 13_500
"""Moments after people changed their minds: long enough to learn it."""
TARGETS = (3,)
ACTS = 0.2
"""Share of the shop's people's events that are clicks."""
SEED = 7
BURSTS = (60, 100, 400, 800, 1_000, 4_000)
"""Events of one robot within its hour, as the filter is shown them alone."""


@dataclass(frozen=True)
class Damage:
    """What a run did to the answers of people from the moment that something went wrong."""

    name: str
    run: str
    auc: float
    logloss: float
    inflation: float | None
    """Mean score of the attacked item over that of the run in which nothing went wrong; none where no item is attacked."""
    said: str
    """What the safeguards did."""


@dataclass(frozen=True)
class Bench:
    """The shop, its history learned, and the live moments of its people."""

    ready: Ready
    people: list[Moment]
    clean: list[Example]

    @classmethod
    def of(cls, seed: int = SEED) -> "Bench":
        """Drawn, folded and learned."""
        shop = Shop.of(seed)
        ready = Ready.of(shop, shop.people(0, HISTORY, seed))
        people = shop.people(HISTORY, LIVE, seed)
        return cls(ready, people, ready.examples(people))

    def with_bots(self, bots: Sequence[Moment]) -> list[Moment]:
        """People and bots in time order."""
        return sorted([*self.people, *bots], key=lambda moment: moment.time)

    def judged(self, name: str, run: str, seen: Seen, asked: Sequence[Example], usual: Seen | None = None) -> Damage:
        """What the scores of these lists are worth, from :data:`FROM` on."""
        began = START + (HISTORY + FROM) * APART
        rows = np.concatenate([[one.impression.time >= began] * len(one.impression.items) for one in asked])
        items = np.concatenate([one.impression.items for one in asked])[rows]
        labels, scores = labels_of(asked)[rows], np.concatenate(seen.scores)[rows]
        targets = np.isin(items, [f"i{item}" for item in TARGETS])
        inflation = float(scores[targets].mean() / np.concatenate(usual.scores)[rows][targets].mean()) if usual else None
        said = [f"{seen.skipped.count(why)} windows skipped: {why}" for why in dict.fromkeys(seen.skipped)]
        said += [f"suspects: {', '.join(sorted(seen.suspects))}"] * bool(seen.suspects)
        return Damage(name, run, auc(labels, scores), log_loss(labels, scores), inflation, "; ".join(said))


def labels_of(examples: Sequence[Example]) -> F8:
    """(n,)."""
    parts = [np.zeros(len(one.impression.items)) for one in examples]
    for part, one in zip(parts, examples, strict=True):
        part[[outcome.index for outcome in one.outcomes]] = 1
    return np.concatenate(parts)


def of_people(examples: Sequence[Example]) -> list[Example]:
    """Their lists."""
    return [one for one in examples if one.impression.user_id.startswith("u")]


def bots(bench: Bench) -> list[Damage]:
    """A botnet of five clicks a user, one list in twenty; and bursts of one user's clicks that no list led to."""
    usual = played(bench.ready, bench.clean, bench.clean, guarded=True)
    found = [bench.judged("nothing wrong", "all", usual, bench.clean)]
    lists = (UNTIL - FROM) // 19
    attack = botnet(HISTORY + FROM, UNTIL - FROM, lists, 5, TARGETS, SEED)
    examples = bench.ready.examples(bench.with_bots(attack))
    for run, guarded in (("without", False), ("with", True)):
        seen = played(bench.ready, examples, of_people(examples), guarded=guarded)
        found.append(bench.judged("botnet, five clicks a user", run, seen, of_people(examples), usual))
    attack = [one for n in range(4) for one in burst(HISTORY + FROM + 300 * n, 400, TARGETS, f"burst{n}")]
    for run, share in (("without", 1.0), ("with", ACTS)):
        examples = bench.ready.examples(bench.with_bots(attack), usual=share)
        seen = played(bench.ready, examples, of_people(examples), guarded=True)
        found.append(bench.judged("bursts of 400 clicks", run, seen, of_people(examples), usual))
    return found


def broken(bench: Bench) -> list[Damage]:
    """The items' counters are all zeros for a while; what is asked has them right."""
    names = bench.clean[0].impression.inputs.candidate
    columns = [i for i, name in enumerate(names) if name.startswith("item.")]

    def spoiled(one: Example) -> Example:
        values = np.frombuffer(one.impression.candidate_features, np.float32).reshape(-1, len(names)).copy()
        values[:, columns] = 0
        return msgspec.structs.replace(one, impression=msgspec.structs.replace(one.impression, candidate_features=values.tobytes()))

    return _both(bench, "a broken feature: all zeros", spoiled)


def unlabelled(bench: Bench) -> list[Damage]:
    """No outcome reaches the joiner for a while."""
    return _both(bench, "outcomes are lost", lambda one: msgspec.structs.replace(one, outcomes=()))


def _both(bench: Bench, name: str, spoil: Callable[[Example], Example]) -> list[Damage]:
    stopping = msgspec.structs.replace(TASK.breaker, still=True)
    examples = [*bench.clean[:FROM], *map(spoil, bench.clean[FROM:UNTIL]), *bench.clean[UNTIL:]]
    return [
        bench.judged(name, run, played(bench.ready, examples, bench.clean, guarded=guarded, breaks=stopping), bench.clean)
        for run, guarded in (("without", False), ("with", True))
    ]


def duplicates(bench: Bench) -> list[Damage]:
    """Every third event comes twenty times, every list three times."""

    def flooded(moment: Moment) -> Moment:
        return replace(moment, events=tuple(e for n, e in enumerate(moment.events) for _ in range(20 if n == 0 else 1)))

    moments = [flooded(moment) if FROM <= n < UNTIL else moment for n, moment in enumerate(bench.people)]
    found = []
    for run, safe in (("without", False), ("with", True)):
        examples = bench.ready.examples(moments, retries=safe)
        delivered = [
            one if safe or not n else msgspec.structs.replace(one, origin=Origin("again", n, one.origin.offset))
            for at, one in enumerate(examples)
            for n in range(3 if FROM <= at < UNTIL else 1)
        ]
        found.append(bench.judged("a flood of duplicates", run, played(bench.ready, delivered, examples, guarded=False), examples))
    return found


def shift(bench: Bench) -> list[Damage]:
    """From one moment on people like the opposite, for good and for long: the breaker lets it pass, learning on mends it."""
    shop = bench.ready.shop
    changed = [*bench.people[:FROM], *shop.people(HISTORY + FROM, SHIFTED, SEED, shift=True)]
    examples = bench.ready.examples(changed)
    found = []
    for run, guarded, learning in (
        ("never learns", False, {"row_rate": 0.0, "dense_rate": 0.0}),
        ("learns on, no breaker", False, {}),
        ("learns on", True, {}),
        ("γ = 0.95 each 2,000 rows", True, {"row_decay": 0.95, "decay_rows": 2_000}),
        ("γ = 0.8 each 2,000 rows", True, {"row_decay": 0.8, "decay_rows": 2_000}),
    ):
        seen = played(bench.ready, examples, examples, guarded=guarded, learning=msgspec.structs.replace(TASK.learning, **learning))
        one = bench.judged("an abrupt shift", run, seen, examples)
        told = ", ".join(f"{detector} {times}" for detector, times in sorted(seen.drift.items())) or "none"
        found.append(replace(one, said="; ".join(filter(None, (one.said, f"detectors told: {told}")))))
    return found


Scenario = Callable[[Bench], list[Damage]]
SCENARIOS: dict[str, Scenario] = {
    "bots": bots, "broken": broken, "unlabelled": unlabelled, "duplicates": duplicates, "shift": shift,
}  # fmt: skip


@dataclass(frozen=True)
class Robots:
    """What the features service's filter leaves out of the items' counters."""

    burst: int
    """Events of one robot within its hour."""
    out: float
    """Share of the robots' events that is left out."""
    people: float
    """Share of people who were ever taken for one."""


def robots(seed: int = SEED, people: int = 2_000, days: int = 5) -> list[Robots]:
    """The filter alone: people of whom some do a lot and some only act, and robots, whose events are judged apart from theirs."""
    rng = np.random.default_rng(seed)
    flagged = sum(_ever(rng, days) for _ in range(people)) / people
    return [Robots(clicks, sum(_verdicts(clicks)) / clicks, flagged) for clicks in BURSTS]


def _ever(rng: np.random.Generator, days: int) -> bool:
    """Whether a person is taken for a robot: sessions of up to hundreds of events, acts among them by the person's own share."""
    guard, share, found = Guard(), float(rng.beta(1.0, 4.0)), False
    for day in range(days):
        start, gap = day * 86_400.0 + float(rng.uniform(0, 80_000)), float(rng.exponential(20.0)) + 2.0
        for n in range(min(int(rng.pareto(1.2) * 8), 600)):
            time, act = START + start + n * gap, bool(rng.random() < share)
            found |= guard.judge(int(rng.integers(1, 2**60)), round(time * 1e6), 0.0, act, ACTS) == "robot"
    return found


def enough(out: float) -> int:
    """Events of the shortest burst of which this share is left out."""
    verdicts = np.cumsum(_verdicts(BURSTS[-1])) / np.arange(1, BURSTS[-1] + 1)
    return int(np.argmax(verdicts >= out)) + 1


def _verdicts(clicks: int) -> list[bool]:
    guard = Guard()
    return [guard.judge(n, round((START + n * 0.5) * 1e6), 0.0, True, ACTS) == "robot" for n in range(1, clicks + 1)]
