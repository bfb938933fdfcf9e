"""The evaluation looks at nothing before its time: lists are predicted whole before they are learned, negatives are of the past."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from services.updater.evaluation.metrics import auc
from services.updater.learning.batches import Batch, Batcher
from services.updater.learning.cuts import cut
from services.updater.learning.histories import Histories
from shared.datasets.candidates import DAY, NOTHING
from shared.datasets.sampling import Sampled
from shared.messages import Behaviour, Item
from tests.bench.learning.columns import load, save, whole
from tests.bench.learning.measures import Judge, influence
from tests.bench.learning.protocol import F8, I8, Delays, Known, Stream, replay, windows
from tests.learning import INPUTS, assortment, batch, shown

LISTS, MINUTE = 60, 60.0
QUICK = Delays(median=30.0, p90=600.0, attribution=900.0)


def stream(delays: Delays = QUICK, wait: float = 0.0) -> Stream:
    """Sixty lists of five, one a minute; every other has its first item bought."""
    return Stream.of(batch([shown(offset) for offset in range(LISTS)]), delays, 0.3, wait)


@dataclass
class Spy:
    """Notes what it was shown, in order."""

    learned: set[int] = field(default_factory=set)
    settled: list[int] = field(default_factory=list)
    predicted: list[int] = field(default_factory=list)
    corrections: list[tuple[float, int]] = field(default_factory=list)

    def begin(self, stream: Stream, lists: I8) -> None:
        self.learned.update(lists.tolist())

    def predict(self, rows: Batch) -> F8:
        lists = [origin.offset for origin in rows.origins]
        assert not self.learned & set(lists), "a list was learned before it was predicted"
        assert np.bincount(rows.list).tolist() == [5] * len(lists), "a list was not predicted whole"
        self.predicted += lists
        return np.full(len(rows), 0.5)

    def learn(self, known: Known) -> None:
        examples = known.examples()
        lists = [origin.offset for origin in examples.origins]
        self.learned.update(lists)
        self.settled += known.settled.tolist()
        self.corrections += [(known.end, one) for one, late in zip(lists, examples.kinds, strict=True) if late]


def test_every_live_list_is_predicted_whole_once_before_it_is_learned() -> None:
    spy, played = Spy(), stream()
    scores, answers = replay(played, spy, 5 * MINUTE)
    assert spy.predicted == list(range(played.start, LISTS))
    assert len(scores) == 5 * (LISTS - played.start)
    assert not len(answers)


def test_the_spy_sees_a_list_that_is_learned_too_early() -> None:
    class Hasty(Spy):
        def learn(self, known: Known) -> None:
            self.learned.update(range(known.last + 1))

    with pytest.raises(AssertionError, match="learned before"):
        replay(stream(), Hasty(), 5 * MINUTE)


def test_an_outcome_is_learned_with_its_list_or_later_as_a_correction_and_never_before_it_came() -> None:
    played = stream()
    seen: dict[int, float] = {}
    for known in windows(played, 5 * MINUTE):
        examples = known.examples()
        for row in np.flatnonzero(examples.labels[:, 0] > 0).tolist():
            number = examples.origins[examples.list[row]].offset
            assert number not in seen
            seen[number] = known.end
            assert played.arrival[number] < known.end
            is_correction = bool(examples.kinds[examples.list[row]])
            assert is_correction == (number < known.first)
            assert examples.late[row, 0] == is_correction
    due = [n for n in range(played.start, LISTS) if n % 2 == 0 and played.arrival[n] < played.batch.time[-1]]
    assert set(due) <= set(seen) <= {n for n in range(played.start, LISTS) if n % 2 == 0}
    assert any(seen[n] > played.batch.time[n] + 5 * MINUTE for n in due)  # some came as corrections


def test_a_windows_lists_and_corrections_are_learned_in_the_order_in_which_they_came() -> None:
    played, between = stream(), 0
    for known in windows(played, 5 * MINUTE):
        examples = known.examples()
        numbers = [origin.offset for origin in examples.origins]
        came = np.where(examples.kinds, played.arrival[numbers], played.batch.time[numbers])
        assert (np.diff(came) >= 0).all()
        assert (examples.time == played.batch.time[numbers]).all()
        assert np.bincount(examples.list).tolist() == np.where(examples.kinds, 1, 5).tolist()
        between += int(examples.kinds[: np.flatnonzero(~examples.kinds).max(initial=0)].sum())
    assert between, "no correction came between two lists"


def test_a_list_comes_to_the_learner_after_the_wait_with_what_was_bought_within_it() -> None:
    wait, played = 7 * MINUTE, stream(wait=7 * MINUTE)
    seen, corrected = list[int](), 0
    for known in windows(played, 5 * MINUTE):
        examples = known.examples()
        numbers = np.array([origin.offset for origin in examples.origins], np.int64)
        lists = numbers[~examples.kinds]
        came = played.batch.time[lists] + wait
        assert ((came >= known.begin) & (came < known.end)).all()
        bought = np.bincount(examples.list, examples.labels[:, 0], len(numbers))[~examples.kinds] > 0
        assert np.array_equal(bought, played.arrival[lists] < known.end)
        assert set(numbers[examples.kinds].tolist()) <= set(seen)
        seen, corrected = seen + lists.tolist(), corrected + int(examples.kinds.sum())
    assert seen == list(range(played.start, played.start + len(seen)))
    assert LISTS - played.start - len(seen) == 7  # were still waited for
    assert 0 < corrected < sum(int(known.examples().kinds.sum()) for known in windows(stream(), 5 * MINUTE))


def test_a_rival_learns_each_list_once_when_its_label_is_settled() -> None:
    spy, played = Spy(), stream()
    replay(played, spy, 5 * MINUTE)
    assert len(spy.settled) == len(set(spy.settled)) > 20
    for known in windows(played, 5 * MINUTE):
        assert (played.settled[known.settled] < known.end).all()
        assert (played.settled[known.history()[known.history() >= played.start]] < known.end).all()


def test_what_takes_longer_than_the_attribution_is_never_learned_as_positive() -> None:
    played = stream(Delays(median=3_600.0, p90=7_200.0, attribution=1.0))
    assert not any(known.examples().labels.any() for known in windows(played, 5 * MINUTE))


def test_history_alone_knows_nothing_of_the_live_part() -> None:
    played = stream()
    history = played.part(10, played.start)
    assert len(history.batch.time) == played.start
    assert history.start == 10


def shop(lines: Iterable[tuple[float, str, str]], size: int = 5) -> Sampled:
    """Purchases as (day, user, item)."""
    began = datetime(2011, 1, 1, tzinfo=UTC)
    events = [
        Behaviour(event_id=f"e{n}", user_id=user, item_id=item, action="purchase", time=began + timedelta(days=day), price=1.0)
        for n, (day, user, item) in enumerate(lines)
    ]
    items = {event.item_id: Item(item_id=event.item_id, time=began) for event in events}
    return Sampled(items, events, "purchase", size, 7)


def test_a_negative_is_never_drawn_from_the_future() -> None:
    rng = np.random.default_rng(3)
    lines = [
        (day / 4, f"u{rng.integers(9)}", f"i{rng.integers(day // 4, day // 4 + 30)}") for day in range(400)
    ]  # ever newer items
    sold: dict[str, float] = {}
    lists = 0
    for moment in shop(lines).moments():
        for one in moment.lists:
            lists += 1
            for candidate in one.candidates:
                assert sold.get(candidate.item_id, np.inf) < moment.time, "shown before the shop had sold it"
                assert moment.time - sold[candidate.item_id] <= 28 * DAY
                assert candidate.age > 0
        for event in moment.events:
            sold[event.item_id] = moment.time
    assert lists > 200


def test_users_who_are_not_asked_make_no_lists_and_count_all_the_same() -> None:
    lines = [(day / 4, f"u{day % 2}", f"i{day % 30}") for day in range(200)]
    whole_shop = shop(lines)
    half = Sampled(whole_shop.items, whole_shop.events, "purchase", 5, 7, {"u0"}.__contains__)
    moments = list(half.moments())
    assert {moment.user_id for moment in moments if moment.lists} == {"u0"}
    assert sum(len(moment.events) for moment in moments) == 200
    assert all(one.bought != NOTHING for moment in moments for one in moment.lists)


def test_parts_of_a_set_are_what_a_batcher_would_have_made_of_them(tmp_path) -> None:  # type: ignore[no-untyped-def]
    examples = [shown(offset, items=3 + offset % 3) for offset in range(12)]
    made = whole(Batcher(INPUTS, ("purchase",), assortment()), examples)
    save(made, tmp_path / "set.npz")
    part = cut(load(tmp_path / "set.npz"), np.array([2, 5, 6]))
    alone = batch([examples[i] for i in (2, 5, 6)])
    assert part.list.tolist() == alone.list.tolist()
    for name in ("time", "text", "candidate_features", "user_features", "labels", "kinds"):
        assert np.array_equal(getattr(part, name), getattr(alone, name)), name
    for name in Histories.__slots__:
        ours, theirs = (getattr(one.histories, name)[one.history] for one in (part, alone))
        assert np.array_equal(ours, theirs), name
    assert all(np.array_equal(part.keys[name], alone.keys[name]) for name in part.keys)


def test_a_difference_is_zero_against_itself_and_its_interval_holds_the_value() -> None:
    judge, rng = Judge.of(stream()), np.random.default_rng(5)
    noise = rng.random(len(judge.labels))
    good = 0.2 + 0.5 * judge.labels + 0.2 * noise
    assert judge.difference(good, good)["auc"] == [0.0, 0.0, 0.0]
    value, low, high = judge.difference(good, noise)["auc"]
    assert low <= value <= high
    assert low > 0


def test_the_interval_is_that_of_resampled_aucs() -> None:
    rng = np.random.default_rng(2)
    labels, units = (rng.random(4_000) < 0.2).astype(float), np.arange(4_000) // 4
    first, second = ((labels + rng.normal(0, noise, 4_000)).round(1) for noise in (1.0, 1.5))  # with ties
    judge = Judge(labels, units, units, {})
    value, low, high = judge.difference(first, second)["auc"]
    rows = [(4 * rng.integers(0, 1_000, 1_000)[:, None] + np.arange(4)).ravel() for _ in range(300)]
    exact = [auc(labels[chosen], first[chosen]) - auc(labels[chosen], second[chosen]) for chosen in rows]
    assert value == pytest.approx(auc(labels, first) - auc(labels, second))
    assert [low, high] == pytest.approx(np.percentile(exact, [2.5, 97.5]).tolist(), abs=0.005)
    assert influence(labels, first).sum() == pytest.approx(0.0, abs=1e-9)


def test_ranks_within_lists_count_ties_half() -> None:
    judge = Judge.of(stream())
    assert judge.ranks(np.zeros(len(judge.labels))).tolist() == [3.0] * int(judge.labels.sum())
    assert judge.measure(judge.labels)["mrr"] == 1.0
