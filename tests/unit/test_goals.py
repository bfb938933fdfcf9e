"""A figure that misses its limit, or is not there, is told so and fails the command."""

import pytest

from tests.bench.goals import Goal, judged


def test_limits_hold_on_both_sides() -> None:
    assert judged(Goal("seconds", 2.4, 2.4), Goal("events", 50_000, 50_000, at_least=True)) == 0
    assert judged(Goal("seconds", 2.5, 2.4)) == 1
    assert judged(Goal("events", 49_999, 50_000, at_least=True)) == 1


def test_what_was_not_seen_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    assert judged(Goal("seconds", None, 2.4)) == 1
    assert "MISSED" in capsys.readouterr().out
