"""A shop's past as examples: features of the moment, nothing of the future."""

from datetime import UTC, datetime

import numpy as np

from services.updater.history import past as module
from services.updater.history.past import Past
from services.updater.learning.batches import check
from shared.datasets.candidates import Candidate, CandidateList
from shared.datasets.moments import Moment
from shared.features.assemble import Assembler
from shared.features.counters import Counters
from shared.features.events import columns
from shared.messages import Behaviour, Example, Item
from tests.features import plans

DAY = 86_400.0
START = datetime(2017, 3, 1, tzinfo=UTC)
ITEMS = [Item(item_id=name, time=START, category=f"c{n % 2}", brand="b") for n, name in enumerate(("tea", "milk", "bread", "salt"))]


def bought(user: str, item: str, day: float) -> Behaviour:
    when = datetime.fromtimestamp(START.timestamp() + day * DAY, UTC)
    return Behaviour(
        event_id=f"{user}-{item}-{day}", user_id=user, item_id=item, action="purchase", time=when, price=2.0, category="c0"
    )


def asked(*items: str, index: int = 0) -> CandidateList:
    return CandidateList(0, index, tuple(Candidate(item, 2.5, 1.0, 0.0, 0.25, 1, DAY) for item in items))


def moment(user: str, day: float, *events: Behaviour, lists: tuple[CandidateList, ...] = ()) -> Moment:
    return Moment(user, START.timestamp() + day * DAY, events, lists)


def made(moments: list[Moment]) -> list[Example]:
    assembler = Assembler(plans(), ("display", "mailer"))
    return list(Past(Counters(plans()), assembler, assembler.inputs, ITEMS, "ranking", "purchase").examples(moments))


def value(example: Example, name: str, row: int = 0) -> float:
    inputs = example.impression.inputs
    if name in inputs.user:
        return float(np.frombuffer(example.impression.user_features, np.float32)[inputs.user.index(name)])
    table = np.frombuffer(example.impression.candidate_features, np.float32).reshape(-1, len(inputs.candidate))
    return float(table[row, inputs.candidate.index(name)])


def test_a_list_knows_its_users_past_and_not_its_own_outcome() -> None:
    first = moment("ann", 0, bought("ann", "tea", 0), lists=(asked("tea", "milk"),))
    second = moment("ann", 1, bought("ann", "milk", 1), lists=(asked("tea", "milk", index=1),))
    one, two = made([first, second])
    assert value(one, "pair.bought") == 0.0
    assert value(two, "pair.bought") > 0.9
    assert value(two, "pair.bought", row=1) == 0.0
    assert value(two, "user.purchases_7d") > 0.8


def test_every_example_has_the_features_that_a_fold_up_to_its_group_gives() -> None:
    rng = np.random.default_rng(0)
    names = [item.item_id for item in ITEMS]
    moments = []
    for n in range(40):
        user, item = f"u{rng.integers(0, 12)}", str(rng.choice(names))
        moments.append(moment(user, n / 4, bought(user, item, n / 4), lists=(asked(*names, index=names.index(item)),)))
    examples = made(moments)
    assembler = Assembler(plans(), ("display", "mailer"))
    for i, (one, example) in enumerate(zip(moments, examples, strict=True)):
        counters = Counters(plans())
        known = [event for before in moments[: group_start(moments, i)] for event in before.events]
        if known:
            counters.apply(columns(known))
        past = Past(counters, assembler, assembler.inputs, ITEMS, "ranking", "purchase")
        alone = next(past.examples([one]))
        assert example.impression.user_features == alone.impression.user_features
        assert example.impression.candidate_features == alone.impression.candidate_features
        assert example.impression.history == alone.impression.history


def group_start(moments: list[Moment], index: int) -> int:
    """Where the group of a moment begins: a user comes but once in it."""
    start, users = 0, set[str]()
    for i, one in enumerate(moments[: index + 1]):
        if one.user_id in users or len(users) == module.TOGETHER:
            start, users = i, set()
        users.add(one.user_id)
    return start


def test_an_example_carries_the_list_as_it_was_asked() -> None:
    [example] = made([moment("ann", 0, bought("ann", "milk", 0), lists=(asked("tea", "milk", "salt", index=1),))])
    assert example.impression.items == ("tea", "milk", "salt")
    assert [outcome.index for outcome in example.outcomes] == [1]
    assert np.frombuffer(example.impression.log_odds, np.float32).tolist() == [0.25] * 3
    assert value(example, "context.display") == 1.0


def test_all_events_are_counted_in_the_end() -> None:
    counters = Counters(plans())
    past = Past(counters, assembler := Assembler(plans(), ()), assembler.inputs, ITEMS, "ranking", "purchase")
    assert list(past.examples([moment("ann", 0, bought("ann", "tea", 0)), moment("bob", 1, bought("bob", "tea", 1))])) == []
    assert {key for key, _ in counters.dump()} >= {plans().user.plan.key("bob"), plans().item.plan.key("tea")}


def test_a_list_of_one_item_has_all_of_its_users_features_though_no_other_list_stands_beside_it() -> None:
    alone = [moment("ann", day, bought("ann", "tea", day), lists=(asked("tea"),)) for day in range(3)]
    examples = made(alone)
    for example in examples:
        check(example)
    assert [value(example, "user.purchases_7d") > 0 for example in examples] == [False, True, True]
    assert [len(example.impression.history) // 8 for example in examples] == [0, 1, 1]
