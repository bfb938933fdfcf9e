"""What is strange stops learning, what is usual does not; learning goes on by itself, or as the operator orders."""

from dataclasses import replace

import msgspec
import numpy as np
import structlog

from infra.local.operate import learning as operate
from services.updater import exported
from services.updater.evaluation.reference import Reference
from services.updater.guards.breaker import Breaker
from services.updater.guards.control import Control
from services.updater.guards.cusum import AGE, Cusum, spared
from services.updater.guards.orders import Order, give, order
from services.updater.learning.batches import Batch
from services.updater.learning.histories import Histories
from services.updater.settings import UpdaterSettings
from services.updater.windows.gaps import Gaps
from services.updater.windows.kafka import KafkaWindows, PlanLog
from services.updater.windows.plans import Plans, replanned
from services.updater.windows.window import Window
from shared.bundles.objects import MemoryObjects
from shared.bundles.storage import Storage
from shared.keys import keys
from shared.messages import Inputs, Verdict, WindowPlan
from shared.tasks import BreakerSettings
from tests import learning
from tests.unit.test_updater_replay import a_student, learned, windows
from tests.unit.test_updater_windows import Kafka

INPUTS = Inputs((AGE, "user.purchases_1d"), ("item.purchases_1d", "item.log_price"))
LISTS, ITEMS, RATE, DAY = 50, 10, 0.1, 86_400.0
Runs = dict[str, list[tuple[int, int]]]
LOG = structlog.stdlib.get_logger()


class Base:
    """Expects the same of every row."""

    def predict(self, batch: Batch) -> np.ndarray:
        return np.full((len(batch), 1), RATE, np.float32)


def a_batch(number: int, rate: float = RATE, age: float = 30 * DAY, lists: int = LISTS) -> Batch:
    """A window of lists of ten items ``i0`` to ``i9``, of which this share is bought."""
    rng, n = np.random.default_rng(number), lists * ITEMS
    none = np.zeros((n, 1), np.float32)
    return Batch(
        list=np.repeat(np.arange(lists), ITEMS), origins=(), kinds=np.zeros(lists, np.bool_), time=np.zeros(lists),
        keys={"item": np.tile(keys(f"i{i}" for i in range(ITEMS)), lists)}, text=none[:, 0].astype(np.int32),
        histories=Histories(none[:1], np.zeros((1, 1), np.uint64), none[:1]), history=np.zeros(lists, np.int64),
        user_features=np.stack([np.full(lists, age), rng.exponential(size=lists)], 1).astype(np.float32),
        candidate_features=rng.exponential(size=(n, 2)).astype(np.float32), log_odds=none[:, 0], served=none[:, 0],
        labels=(rng.random((n, 1)) < rate).astype(np.float32), late=none, counted=np.ones((n, 1), np.float32),
    )  # fmt: skip


def a_breaker(windows: int = 60, **settings: float) -> Breaker:
    """One that has seen so many windows as they usually are, one a second."""
    breaker = Breaker(BreakerSettings(**settings), Base(), INPUTS, LOG)
    assert not any(judged(breaker, a_batch(n), n).skips for n in range(windows))
    return breaker


def judged(breaker: Breaker, batch: Batch, now: float = 100.0) -> Verdict:
    return breaker.judge([learning.shown(n, items=20) for n in range(20)], batch, now)


def blind(batch: Batch, column: int, value: float = 0.0) -> Batch:
    batch.candidate_features[:, column] = value
    return batch


def test_a_usual_stream_is_learned() -> None:
    a_breaker(windows=400)


def test_nothing_is_strange_before_it_is_known_what_is_usual() -> None:
    breaker = a_breaker(windows=10)
    assert judged(breaker, a_batch(10, rate=0.9)) == Verdict()


def test_labels_that_the_frozen_base_never_saw_stop_learning() -> None:
    assert judged(a_breaker(loss=2.0, positives=np.inf), a_batch(60, rate=0.9)).skips == "loss"


def test_more_positives_than_ever_stop_learning_and_so_do_none_at_all() -> None:
    assert judged(a_breaker(loss=np.inf), a_batch(60, rate=0.9)).skips == "positives"
    assert [judged(breaker, a_batch(60 + n, rate=0.0)).skips for breaker in [a_breaker()] for n in range(3)][-1] == "positives"


def test_some_more_positives_do_not() -> None:
    breaker = a_breaker()
    assert not any(judged(breaker, a_batch(60 + n, rate=2 * RATE), n).skips for n in range(40))


def test_an_input_that_stands_still_is_told_of_and_stops_learning_where_the_task_says_so() -> None:
    breaker = a_breaker()
    assert [judged(breaker, blind(a_batch(60 + n), 1)).skips for n in range(3)] == [""] * 3
    assert exported.still._value.get() == 1
    assert judged(breaker, a_batch(63)) == Verdict()
    assert exported.still._value.get() == 0


def test_it_does_whatever_the_input_stands_at() -> None:
    for value in (0.0, np.nan, 7.0):
        breaker = a_breaker(still=True)
        judged(breaker, blind(a_batch(60), 1, value))
        assert judged(breaker, blind(a_batch(61), 1, value)).skips == "item.log_price"


def test_an_input_that_never_moved_may_stand_still() -> None:
    breaker = Breaker(BreakerSettings(still=True), Base(), INPUTS, LOG)
    assert not any(judged(breaker, blind(a_batch(n), 1), n).skips for n in range(100))


def test_learning_goes_on_once_the_stream_was_as_usual_for_a_while() -> None:
    breaker = a_breaker(calm_s=60.0)
    assert judged(breaker, a_batch(60, rate=0.9), 100.0).skips
    later = [judged(breaker, a_batch(61 + n), 110.0 + 10 * n).skips for n in range(8)]
    assert later == ["loss"] * 5 + [""] * 3


def test_an_operator_pauses_and_resumes_and_what_comes_then_is_usual() -> None:
    breaker = a_breaker()
    breaker.order = Order(paused=True, at=1.0)
    assert judged(breaker, a_batch(60)).skips == "paused"
    breaker.order = Order(paused=False, at=2.0)
    assert judged(breaker, a_batch(61)).skips == ""
    assert judged(breaker, a_batch(62, rate=0.9)).skips == ""


def test_a_breaker_goes_on_from_what_was_kept_of_it() -> None:
    storage = Storage(MemoryObjects(), "ranking")
    one = a_breaker()
    judged(one, a_batch(60, rate=0.9), 100.0)
    Control(storage, one, LOG).end()
    second = Breaker(BreakerSettings(), Base(), INPUTS, LOG)
    Control(storage, second, LOG).begin()
    assert second.reason == "loss"
    assert judged(second, a_batch(61, lists=500), 200.0).skips == ""
    assert judged(second, a_batch(62, rate=0.9), 201.0).skips == "loss"


def test_the_last_order_counts() -> None:
    storage = Storage(MemoryObjects(), "ranking")
    assert order(storage) == Order()
    give(storage, Order(paused=True, at=1.0))
    give(storage, Order(paused=False, at=2.0))
    assert order(storage) == Order(paused=False, at=2.0)


def pushed(batch: Batch, item: int = 3) -> Batch:
    """Every row of one item is bought."""
    batch.labels[batch.keys["item"] == keys([f"i{item}"])[0]] = 1
    return batch


def test_an_item_that_new_users_click_too_often_is_a_suspect_and_nothing_is_skipped() -> None:
    breaker = a_breaker()
    verdict = judged(breaker, pushed(a_batch(60, age=60.0, lists=20)))
    assert verdict == Verdict(suspects=("i3",))


def test_what_older_users_click_makes_no_suspect() -> None:
    assert judged(a_breaker(), pushed(a_batch(60, lists=20))) == Verdict()


def test_a_late_outcome_adds_what_its_list_lacked() -> None:
    cusum = Cusum(BreakerSettings(alarm=np.inf))
    shown = replace(a_batch(0, rate=0.0, age=60.0, lists=20), kinds=np.zeros(20, np.bool_))
    shown.labels[:10] = 1
    cusum.see(shown, np.full(len(shown), 0.01), INPUTS, 0.0)
    before = {item: level for item, (level, _) in cusum.sums.items()}
    late = a_batch(0, age=60.0, lists=1)
    late = replace(late, kinds=np.ones(1, np.bool_), labels=np.ones_like(late.labels))
    cusum.see(late, np.full(len(late), 0.01), INPUTS, 1.0)
    assert all(cusum.sums[item][0] == before.get(item, 0.0) + 1 for item in cusum.sums)


def test_a_suspect_is_one_until_new_users_no_longer_click_it_more() -> None:
    breaker = a_breaker()
    judged(breaker, pushed(a_batch(60, age=60.0)))
    said = [judged(breaker, a_batch(61 + n, age=60.0, lists=10)).suspects for n in range(20)]
    assert said[0] == ("i3",)
    assert said[-1] == ()


def test_an_item_that_no_new_user_was_shown_for_a_day_is_nobodys_suspect() -> None:
    breaker = a_breaker()
    assert judged(breaker, pushed(a_batch(60, age=60.0)), 100.0).suspects == ("i3",)
    assert judged(breaker, a_batch(61), 100.0 + DAY / 2).suspects == ("i3",)
    assert judged(breaker, a_batch(62), 200.0 + DAY).suspects == ()


def test_suspects_rows_of_new_users_do_not_count_and_all_others_do() -> None:
    young, old = (spared(a_batch(0, age=age), ("i3",), INPUTS) for age in (60.0, 2 * DAY))
    out = young.keys["item"] == keys(["i3"])[0]
    assert not young.counted[out].any()
    assert young.counted[~out].all()
    assert old.counted.all()


def test_a_replay_of_the_verdicts_makes_the_same_weights_and_other_verdicts_make_others() -> None:
    def of(verdict: Verdict) -> str:
        plans = [replace(w, plan=msgspec.structs.replace(w.plan, verdict=verdict, without=bool(verdict.skips))) for w in windows()]
        return learned(a_student(), plans)

    assert of(Verdict(suspects=("i1",))) == of(Verdict(suspects=("i1",)))
    assert of(Verdict(skips="loss")) != of(Verdict())


def test_a_late_outcome_of_a_skipped_list_is_a_plain_positive_also_after_a_restart() -> None:
    lists = [learning.shown(offset) for offset in range(6)]
    late = [learning.correction(n, lists[2 * n + 1], index=2) for n in range(3)]
    student, paid = a_student(), []
    for n, part in enumerate(([lists[0:2]], [lists[2:3]], [lists[3:4]], [lists[4:6]]), 1):
        student.admit(Window(WindowPlan(task="ranking", window=n, epoch=1, ranges={}, without=n in (2, 3)), *part))
        student.position.gaps = Gaps.load(msgspec.json.decode(msgspec.json.encode(student.position.gaps.state()), type=Runs))
    for one in late:
        _, batch = student.admit(Window(WindowPlan(task="ranking", window=9, epoch=1, ranges={}), [one]))
        paid.append(float(batch.late[0, 0]))
    assert student.position.gaps.state() == {"impressions/0": [(2, 3)]}
    assert paid == [1.0, 0.0, 1.0]


def test_a_window_that_was_looked_at_before_is_learned_as_one_that_was_not() -> None:
    student, seen = a_student(), list[bool]()
    for window in windows(without=2):
        batch = student.preview(window.examples)
        _, learned_batch = student.admit(window)
        seen.append(batch is learned_batch)
        student.race.learn(learned_batch, window.plan.window)
    assert seen == [True, False, True, True, True, True]
    assert student.learner.weights_sha256() == learned(a_student(), windows(without=2))


def test_the_frozen_base_is_asked_once_of_a_batch() -> None:
    asked = list[int]()

    class Asked(Base):
        def predict(self, batch: Batch) -> np.ndarray:
            asked.append(len(batch))
            return super().predict(batch)

    reference, batch = Reference(Asked()), a_batch(0)
    assert (reference.predict(batch) == reference.predict(batch)).all()
    reference.predict(a_batch(1, lists=3))
    assert asked == [LISTS * ITEMS, 3 * ITEMS]


async def test_a_verdict_stands_in_the_plan_before_its_window_is_learned() -> None:
    kafka, verdict = Kafka(), Verdict(skips="loss", suspects=("i1",))
    log = PlanLog("ranking", kafka, kafka, Plans())  # type: ignore[arg-type]
    windows = KafkaWindows(
        UpdaterSettings(), log, kafka, kafka, [], {}, lambda: ("a file",), lambda: 0, judge=lambda examples, now: verdict
    )  # type: ignore[arg-type]
    window = await windows.next()
    assert window is not None
    assert (window.plan.without, window.plan.verdict) == (True, verdict)
    assert log.plans.lineage == [window.plan]


def test_how_learning_stands_is_told_by_the_plans_and_the_order() -> None:
    storage, plans = Storage(MemoryObjects(), "ranking"), Plans()
    for n, why in enumerate(("", "loss", "", "paused", "paused"), 1):
        verdict = Verdict(skips=why, suspects=("i1",) * (n == 5))
        plan = WindowPlan(task="ranking", window=n, epoch=1, ranges={"0": (n, n + 1)}, without=bool(why), verdict=verdict)
        plans.fold(n, plan)
    operate.pause(storage, 1.0)
    assert operate.status(storage, plans) == operate.Learning("paused", 4, True, {"loss": 1, "paused": 2}, ("i1",))
    operate.resume(storage, 2.0)
    plans.fold(6, WindowPlan(task="ranking", window=6, epoch=1, ranges={"0": (6, 7)}))
    assert operate.status(storage, plans) == operate.Learning("", 0, False, {"loss": 1, "paused": 2}, ())


def test_what_was_skipped_may_be_learned_by_a_restore() -> None:
    plans, skipped = Plans(), Verdict(skips="loss", suspects=("i1",))
    for n in (1, 2, 3):
        given = skipped if n == 2 else Verdict()
        plans.fold(n, WindowPlan(task="ranking", window=n, epoch=1, ranges={}, without=bool(given.skips), verdict=given))
    again = replanned("ranking", plans, "00000000-0001", frozenset(), planned_at=1.0)
    assert [plan.without for plan in again] == [False, False, True, False]
    assert again[2].verdict == skipped
    whole = replanned("ranking", plans, "00000000-0001", frozenset({3}), planned_at=1.0, skipped=True)
    assert [plan.without for plan in whole] == [False, False, False, True]
    assert whole[2].verdict == Verdict(suspects=("i1",))
