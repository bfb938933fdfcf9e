"""Which of a user's events count."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.features.guard import MEMORY, Guard
from shared.messages import REMEMBERED_EVENTS

SECOND = 1_000_000
T0 = 1_700_000_000 * SECOND


def test_a_retry_counts_once() -> None:
    guard = Guard()
    assert [guard.judge(7, T0, 0), guard.judge(8, T0, 0), guard.judge(7, T0, 0)] == ["count", "count", "retry"]


def test_the_longest_list_that_the_collector_takes_of_one_user_counts_once_however_often_it_is_sent() -> None:
    guard, sent = Guard(), range(1, REMEMBERED_EVENTS + 1)
    assert {guard.judge(n, T0, 0) for n in sent} == {"count"}
    assert {guard.judge(n, T0, 0) for n in sent} == {"retry"}


def test_an_id_is_forgotten_after_256_events_or_ten_minutes() -> None:
    guard = Guard()
    for n in range(1, REMEMBERED_EVENTS + 2):
        guard.judge(n, T0 + n, 0)
    assert guard.judge(1, T0 + 1, 0) == "count"
    assert guard.judge(REMEMBERED_EVENTS, T0 + REMEMBERED_EVENTS, 0) == "retry"
    guard.judge(10_000, T0 + MEMORY + SECOND, 0)
    assert list(guard.recent) == [10_000]


def test_an_event_older_than_all_that_is_remembered_counts() -> None:
    guard = Guard()
    guard.judge(1, T0, 0)
    assert guard.judge(2, T0 - 2 * MEMORY, 0) == "count"
    assert guard.judge(3, T0, 0) == "count"


def test_what_is_too_fast_is_left_out_until_the_bucket_has_leaked() -> None:
    guard = Guard()
    verdicts = [guard.judge(n, T0, 60) for n in range(1, 63)]
    assert verdicts == ["count"] * 60 + ["too_fast"] * 2
    assert guard.judge(100, T0 + SECOND, 60) == "count"
    assert guard.judge(101, T0 + SECOND, 60) == "too_fast"


def test_what_did_not_count_leaves_no_trace() -> None:
    guard = Guard()
    for n in range(1, 61):
        guard.judge(n, T0, 60)
    before = guard.dump()
    guard.judge(99, T0, 60)
    guard.judge(5, T0, 60)
    assert guard.dump() == before


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 1_000)), max_size=60), st.integers(0, 60))
def test_a_guard_that_was_stored_between_two_events_decides_alike(events: list[tuple[int, int]], cut: int) -> None:
    through, stored = Guard(), Guard()
    for n, (event, second) in enumerate(events):
        if n == cut:
            stored = Guard.load(stored.dump())
        one, other = (guard.judge(event, T0 + second * SECOND, 30) for guard in (through, stored))
        assert one == other
    assert through.dump() == stored.dump()


def robots(guard: Guard, acts: list[bool], first: int = 0, usual: float = 0.3, apart: int = SECOND) -> list[bool]:
    return [guard.judge(first + n, T0 + (first + n) * apart, 0, act, usual) == "robot" for n, act in enumerate(acts, 1)]


def test_who_does_nothing_but_act_is_a_robot_from_the_fortieth_event_on() -> None:
    assert robots(Guard(), [True] * 60) == [False] * 39 + [True] * 21


def test_who_also_looks_is_none_nor_who_acts_slowly() -> None:
    assert not any(robots(Guard(), [n % 20 > 0 for n in range(400)]))
    assert not any(robots(Guard(), [True] * 200, apart=120 * SECOND))


def test_where_people_act_as_much_nobody_is_a_robot() -> None:
    assert not any(robots(Guard(), [True] * 60, usual=0.95))
    assert not any(robots(Guard(), [True] * 600, usual=1.0))


def test_a_robot_is_one_for_a_day() -> None:
    guard = Guard()
    robots(guard, [True] * 40)
    assert guard.judge(100, T0 + 86_000 * SECOND, 0, False, 0.3) == "robot"
    assert guard.judge(101, T0 + 86_500 * SECOND, 0, False, 0.3) == "count"


def test_a_guard_of_before_robots_were_known_goes_on() -> None:
    old = msgspec.msgpack.encode([{7: T0}, 3.0, T0])
    assert Guard.load(old).judge(7, T0, 0) == "retry"


def test_a_row_without_a_tail_has_an_empty_guard() -> None:
    assert Guard.load(b"") == Guard()
