"""Rows of a table: one key each, by count, taken back by event time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.updater.learning.rows import Owners


def keys(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


def admit(rows: Owners, *numbers: int, at: float = 0.0) -> list[int]:
    found, _, _ = rows.admit(keys(*numbers), np.full(len(numbers), at))
    return found.tolist()


def test_rows_are_given_in_order_of_first_appearance() -> None:
    rows = Owners(8)
    assert admit(rows, 70, 30, 70, 50) == [1, 2, 1, 3]
    assert rows.find(keys(50, 30, 99)).tolist() == [3, 2, 0]


def test_the_unknown_key_has_no_row() -> None:
    assert admit(Owners(8), 0, 5) == [0, 1]


def test_a_key_gets_a_row_once_it_was_seen_often_enough() -> None:
    rows = Owners(8, admission=3)
    assert admit(rows, 5, 5, 6) == [0, 0, 0]
    assert admit(rows, 5, 6) == [1, 0]  # 6 was seen twice
    assert admit(rows, 6) == [2]


def test_expiry_is_by_event_time_and_frees_the_row_for_another() -> None:
    rows = Owners(8)
    admit(rows, 5, at=10.0)
    admit(rows, 6, at=20.0)
    assert rows.expire(15.0, keys()).tolist() == [1]
    assert rows.find(keys(5, 6)).tolist() == [0, 2]
    assert admit(rows, 7, at=21.0) == [1]


def test_what_is_kept_does_not_expire() -> None:
    rows = Owners(8)
    admit(rows, 5, 6, at=10.0)
    assert rows.expire(15.0, keys(6, 7)).tolist() == [1]


def test_being_seen_again_keeps_a_row() -> None:
    rows = Owners(8)
    admit(rows, 5, at=10.0)
    admit(rows, 5, at=30.0)
    assert rows.expire(20.0, keys()).tolist() == []


def test_a_full_table_takes_the_row_of_the_key_unseen_the_longest() -> None:
    rows = Owners(4)
    for number, at in ((5, 1.0), (6, 3.0), (7, 2.0)):
        admit(rows, number, at=at)
    found, given_out, taken = rows.admit(keys(5, 8), np.array([4.0, 4.0]))
    assert found.tolist() == [1, 3]
    assert taken.tolist() == given_out.tolist() == [3]


def test_keys_beyond_the_capacity_are_unknown_rather_than_pushing_out_those_in_use() -> None:
    rows = Owners(3)
    assert admit(rows, 5, 6, 7, 8) == [1, 2, 0, 0]


@given(st.lists(st.tuples(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.booleans()), max_size=12))
def test_no_two_keys_share_a_row_and_the_state_goes_on_alike(batches: list[tuple[list[int], bool]]) -> None:
    whole, resumed = Owners(7, admission=2), Owners(7, admission=2)
    for time, (numbers, expire) in enumerate(batches):
        resumed_now = Owners(7, admission=2)
        resumed_now.load(resumed.state())
        resumed = resumed_now
        for rows in (whole, resumed):
            admit(rows, *numbers, at=float(time))
            if expire:
                rows.expire(time - 2.0, keys(3))
        owned = whole.find(keys(*range(1, 13)))
        assert len(set(owned[owned > 0])) == np.count_nonzero(owned)
        assert owned.tolist() == resumed.find(keys(*range(1, 13))).tolist()
