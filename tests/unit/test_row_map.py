"""The row map finds what a dictionary finds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.bundles.files import TableChange
from shared.model.row_map import RowMap
from shared.model.tables import Table

KEYS = st.integers(1, 40) | st.integers(2**64 - 4, 2**64 - 1)  # few slots, so that probes collide and wrap around


@settings(deadline=None)
@given(st.lists(st.dictionaries(KEYS, st.integers(0, 15), max_size=6), max_size=5), st.lists(KEYS, max_size=20))
def test_it_finds_what_was_assigned_last(batches: list[dict[int, int]], asked: list[int]) -> None:
    rows, oracle = RowMap(64), {}
    for batch in batches:
        rows.assign(np.array(list(batch), np.uint64), np.array(list(batch.values()), np.intp))
        oracle |= batch
    expected = [oracle.get(key, 0) for key in asked]
    assert rows.find(np.array(asked, np.uint64)).tolist() == expected
    assert [rows.find_one(key) for key in asked] == expected


def test_the_unknown_key_has_no_row() -> None:
    rows = RowMap(4)
    rows.assign(np.array([7], np.uint64), np.array([1]))
    assert rows.find(np.array([0, 7], np.uint64)).tolist() == [0, 1]
    assert rows.find_one(0) == 0


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 1000)), min_size=1, max_size=7), max_size=60))
def test_a_row_that_changes_owner_forgets_the_former(turns: list[list[tuple[int, int]]]) -> None:
    table, owners = Table(8, 2), {}
    for turn in turns:
        taken = {}
        for row, key in turn:
            free = key not in taken.values() and owners.get(row) != key and key not in owners.values()
            if row not in taken and free:
                taken[row] = key
        rows = np.array(list(taken), np.int32)
        change = TableChange(rows, np.ones((len(rows), 3), np.float32), rows, np.array(list(taken.values()), np.uint64))
        table.check("user", change)
        table.apply(change)
        owners |= taken
    everybody = np.arange(1, 1001, dtype=np.uint64)
    by_key = {key: row for row, key in owners.items()}
    assert table.find(everybody).tolist() == [by_key.get(key, 0) for key in range(1, 1001)]


def test_a_new_row_without_values_starts_at_zero() -> None:
    table, none = Table(8, 2), np.zeros(0, np.int32)
    one = np.array([1], np.int32)
    table.apply(TableChange(one, np.ones((1, 3), np.float32), one, np.array([5], np.uint64)))
    table.apply(TableChange(none, np.zeros((0, 3), np.float32), one, np.array([6], np.uint64)))
    assert table.values[1].tolist() == [0, 0, 0]
    assert table.rows == 2


def test_the_unknown_key_has_no_row_after_one_was_given_back_and_taken_by_another() -> None:
    table, one = Table(8, 2), np.array([1], np.int32)
    for owner in (5, 0, 6):
        table.apply(TableChange(one, np.ones((1, 3), np.float32), one, np.array([owner], np.uint64)))
    assert table.find(np.array([0, 5, 6], np.uint64)).tolist() == [0, 0, 1]
    assert table.find_one(0) == 0
