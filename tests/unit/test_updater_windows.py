"""Windows are cut on time and rows, plans of replaced updaters are void, and each origin is learned once."""

import time
from itertools import count
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from prometheus_client import REGISTRY

from services.updater.settings import UpdaterSettings
from services.updater.windows.kafka import KafkaWindows, PlanLog
from services.updater.windows.planner import Planner, Read, advanced
from services.updater.windows.plans import Plans, replanned
from shared.messages import WindowPlan
from tests.learning import shown


def a_plan(window: int, epoch: int = 1, **changes: object) -> WindowPlan:
    return msgspec.structs.replace(WindowPlan(task="ranking", window=window, epoch=epoch, ranges={}), **changes)


def folded(*plans: WindowPlan) -> Plans:
    fold = Plans()
    for offset, plan in enumerate(plans):
        fold.fold(offset, plan)
    return fold


def numbered(plans: Plans) -> list[tuple[int, int]]:
    return [(plan.window, plan.epoch) for plan in plans.lineage]


def a_planner(window_rows: int = 1_000) -> Planner:
    return Planner({0: 10, 1: 0}, window_s=0.25, window_rows=window_rows)


def test_an_empty_window_never_closes() -> None:
    assert a_planner().wait(now=1e9) is None


def test_a_window_closes_some_time_after_its_first_example() -> None:
    planner = a_planner()
    planner.add(Read(0, 10, shown(0)), now=5.0)
    planner.add(Read(0, 11, shown(1)), now=5.2)
    assert planner.wait(now=5.2) == pytest.approx(0.05)
    assert planner.wait(now=5.3) == 0


def test_a_window_closes_when_it_has_rows_enough() -> None:
    planner = a_planner(window_rows=10)
    planner.add(Read(0, 10, shown(0, items=5)), now=5.0)
    assert planner.wait(now=5.0) == pytest.approx(0.25)
    planner.add(Read(0, 11, shown(1, items=5)), now=5.0)
    assert planner.wait(now=5.0) == 0


def test_records_come_in_plan_order_and_ranges_go_on_from_the_last() -> None:
    planner = a_planner()
    for partition, offset in ((1, 0), (0, 10), (1, 1)):
        planner.add(Read(partition, offset, None), now=0.0)
    ranges, reads = planner.cut()
    assert ranges == {"0": (10, 11), "1": (0, 2)}
    assert [(read.partition, read.offset) for read in reads] == [(0, 10), (1, 0), (1, 1)]
    planner.add(Read(1, 2, None), now=1.0)
    assert planner.cut()[0] == {"1": (2, 3)}


def test_a_plan_that_leaves_a_gap_is_refused() -> None:
    assert advanced({"0": 5}, a_plan(1, ranges={"0": (5, 9), "1": (3, 4)})) == {"0": 9, "1": 4}
    with pytest.raises(ValueError, match="begins at offset 6"):
        advanced({"0": 5}, a_plan(1, ranges={"0": (6, 9)}))


def test_a_plan_that_follows_a_higher_epoch_is_void() -> None:
    plans = folded(a_plan(1, 1), a_plan(2, 2), a_plan(3, 1), a_plan(3, 2))
    assert numbered(plans) == [(1, 1), (2, 2), (3, 2)]


def test_of_two_claims_of_one_epoch_the_first_counts() -> None:
    assert numbered(folded(a_plan(1, 1), a_plan(2, 2), a_plan(2, 2))) == [(1, 1), (2, 2)]


def test_a_void_claim_still_fences_the_older_epoch() -> None:
    plans = folded(a_plan(1, 1), a_plan(1, 2), a_plan(2, 1))
    assert (plans.window, plans.epoch) == (1, 2)


def test_a_restore_learns_the_windows_since_again_without_some() -> None:
    before = folded(*(a_plan(window, ranges={"0": (window, window + 1)}) for window in range(1, 6)), a_plan(6, 2))
    again = replanned("ranking", before, "00000002-0001", frozenset({4}), planned_at=9.0)
    for offset, plan in enumerate(again, start=6):
        before.fold(offset, plan)
    assert numbered(before) == [(1, 1), (2, 1), (7, 2), (8, 2), (9, 2), (10, 2), (11, 2)]
    assert [(plan.ranges, plan.without) for plan in before.after(2)] == [
        ({}, False),
        ({"0": (3, 4)}, False),
        ({"0": (4, 5)}, True),
        ({"0": (5, 6)}, False),
        ({}, False),
    ]
    assert before.restarted_from() == "00000002-0001"


def test_a_restore_of_which_an_updater_got_ahead_counts_in_no_part() -> None:
    before = folded(*(a_plan(window) for window in range(1, 4)), a_plan(4, 2))
    again = replanned("ranking", before, "00000002-0001", frozenset({3}), planned_at=9.0)
    for offset, plan in enumerate([a_plan(5, 3), *again], start=4):
        before.fold(offset, plan)
    assert numbered(before) == [(1, 1), (2, 1), (3, 1), (4, 2), (5, 3)]


def test_a_restore_refuses_a_window_that_was_not_learned_since() -> None:
    with pytest.raises(ValueError, match=r"no window \[1\]"):
        replanned("ranking", folded(a_plan(1), a_plan(2)), "00000001-0001", frozenset({1}), planned_at=0.0)


def test_a_fold_may_begin_at_a_checkpoint() -> None:
    plans = Plans(window=7, epoch=3, next_offset=20)
    assert plans.fold(20, a_plan(8, 3))
    assert (plans.ends, plans.after(7)[0].window) == ({8: 21}, 8)


class Kafka:
    """A client of an empty topic that gives what is sent the next offset."""

    def __init__(self) -> None:
        self._offsets = count()

    async def getmany(self, **_: Any) -> dict[Any, Any]:
        return {}

    async def send_and_wait(self, topic: str, value: bytes, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(offset=next(self._offsets))


async def test_plans_that_a_checkpoint_holds_are_forgotten_and_the_later_ones_kept() -> None:
    kafka, checkpoint = Kafka(), 0
    log = PlanLog("ranking", kafka, kafka, Plans())
    windows = KafkaWindows(UpdaterSettings(), log, kafka, kafka, [], {}, lambda: ("a file",), lambda: checkpoint)
    for checkpoint in (0, 0, 1, 1, 4):  # noqa: B007 (the windows ask for it)
        await windows.next()
    assert numbered(log.plans) == [(5, 0)]
    assert log.plans.ends == {4: 4, 5: 5}
    assert (log.plans.window, log.plans.next_offset) == (5, 5)


class Partition(Kafka):
    """A client of a partition that gives its records once, and knows how far it goes."""

    def __init__(self, *written: float) -> None:
        super().__init__()
        self.end = len(written)
        self._records = [SimpleNamespace(offset=n, partition=0, timestamp=at * 1000, value=EXAMPLE) for n, at in enumerate(written)]

    def highwater(self, _: TopicPartition) -> int:
        return self.end

    def assign(self, _: Any) -> None:
        pass

    def seek(self, *_: Any) -> None:
        pass

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def getmany(self, **_: Any) -> dict[Any, Any]:
        given, self._records = self._records, []
        return {TopicPartition("examples.ranking", 0): given} if given else {}


EXAMPLE = msgspec.msgpack.encode(shown(0))


def an_age() -> float | None:
    return REGISTRY.get_sample_value("freshet_last_record_age_seconds", {"topic": "examples.ranking", "partition": "0"})


async def test_the_age_of_the_last_record_grows_while_newer_ones_wait_although_nothing_is_read() -> None:
    kafka = Partition(time.time() - 30)
    log = PlanLog("ranking", kafka, kafka, Plans())
    windows = KafkaWindows(UpdaterSettings(partitions=1), log, kafka, kafka, [], {}, lambda: (), lambda: 0)
    await windows.start()
    assert await windows.next() is not None
    assert an_age() == 0
    kafka.end += 1
    assert (an_age() or 0) >= 30
