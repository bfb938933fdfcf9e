"""The joiner's rule, one sentence at a time; times in ms."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from services.joiner.join import Partition
from services.joiner.records import Answered, Learn, Mark, Refuse, Safe, Shown
from services.joiner.rule import Rule
from services.joiner.segments import Segments
from shared.messages import Behaviour, Example, Impression, Inputs, Origin

RULE = Rule("ranking", ("purchase", "click"), wait=1_000, window=60_000, slack=500, skew=10)
START = Safe(Mark(0, 0), Mark(0, 0))


def impression(request: str = "r1", user: str = "u", items: tuple[str, ...] = ("a", "b", "c"), **more: object) -> Impression:
    n = len(items)
    values = {
        "request_id": request,
        "task": "ranking",
        "user_id": user,
        "time": 0.0,
        "bundle": "00000001-0001",
        "inputs": Inputs(("age",), ("price", "stock")),
        "items": items,
        "scores": np.arange(n, dtype="<f4").tobytes(),
        "propensities": np.full(n, 0.5, "<f4").tobytes(),
        "user_features": np.ones(1, "<f4").tobytes(),
        "candidate_features": np.arange(2 * n, dtype="<f4").tobytes(),
    }
    return Impression(**(values | more))


def shown(offset: int, time: int, value: Impression) -> Shown:
    return Shown(offset, time, value, msgspec.msgpack.encode(value))


def answered(offset: int, time: int, item: str = "a", request: str = "r1", user: str = "u", action: str = "purchase") -> Answered:
    when = datetime.fromtimestamp(time / 1000, UTC)
    event = Behaviour(event_id=f"e{offset}", user_id=user, item_id=item, action=action, time=when, request_id=request)
    return Answered(offset, time, event, f"record {offset}")


def say(emitted: list[Learn | Refuse]) -> list[Example | str]:
    return [
        msgspec.msgpack.decode(one.value, type=Example) if isinstance(one, Learn) else f"{one.reason} {one.record}"
        for one in emitted
    ]


class Joined:
    """A partition with both logs in hand."""

    def __init__(self, folder: Path, begin: Safe = START) -> None:
        self.partition = Partition(3, RULE, Segments(folder), begin)

    def shows(self, *records: Shown) -> None:
        self.partition.read_impressions(records, records[-1].offset + 1, records[-1].time)

    def answers(self, *records: Answered) -> None:
        self.partition.read_behaviour(records, records[-1].offset + 1, records[-1].time)

    def at(self, time: int) -> list[Example | str]:
        """All is read up to this moment."""
        self.partition.all_shown_before(time)
        self.partition.all_answered_before(time)
        return say(self.partition.step())


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    return Joined(tmp_path / "p")


def test_an_example_waits_until_behaviour_is_read_past_its_wait(joined: Joined) -> None:
    joined.shows(shown(0, 5_000, impression()))
    joined.answers(answered(0, 5_400, "b"))
    assert joined.at(6_000) == []
    (example,) = joined.at(6_001)
    assert example.kind == "list"
    assert example.origin == Origin("impressions", 3, 0)
    assert example.impression == impression()
    assert [(one.index, one.action, one.partition, one.offset, one.delay) for one in example.outcomes] == [
        (1, "purchase", 3, 0, 0.4)
    ]


def test_a_later_outcome_corrects_the_one_item_after_its_example(joined: Joined) -> None:
    joined.shows(shown(0, 5_000, impression()))
    joined.answers(answered(7, 6_001, "b"))
    assert say(joined.partition.step()) == []
    listed, correction = joined.at(6_002)
    assert listed.kind == "list"
    assert listed.outcomes == ()
    assert correction.kind == "correction"
    assert correction.origin == Origin("behaviour", 3, 7)
    assert correction.corrects == Origin("impressions", 3, 0)
    assert correction.position == 1
    assert correction.impression.items == ("b",)
    assert np.frombuffer(correction.impression.candidate_features, "<f4").tolist() == [2.0, 3.0]
    assert np.frombuffer(correction.impression.scores, "<f4").tolist() == [1.0]
    assert correction.impression.log_odds == b""
    assert [(one.index, one.delay) for one in correction.outcomes] == [(0, 1.001)]


def test_an_outcome_that_is_read_before_its_impression_is_part_of_it(joined: Joined) -> None:
    joined.answers(answered(0, 5_000))
    assert joined.at(5_050) == []
    joined.shows(shown(0, 5_100, impression()))
    (example,) = joined.at(6_200)
    assert [one.offset for one in example.outcomes] == [0]
    assert example.outcomes[0].delay == 0.0


def test_only_the_first_outcome_of_a_request_item_and_action_counts(joined: Joined) -> None:
    joined.shows(shown(0, 5_000, impression()))
    joined.answers(answered(0, 5_100), answered(1, 5_200), answered(2, 5_300, action="click"), answered(3, 9_000))
    (example,) = joined.at(10_000)
    assert [(one.action, one.offset) for one in example.outcomes] == [("purchase", 0), ("click", 2)]
    assert joined.partition.counts["repeated"] == 2


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (answered(0, 5_100, "z"), "not_shown"),
        (answered(0, 5_100, user="v"), "other_user"),
        (answered(0, 5_100, request="r2"), "unknown"),
        (answered(0, 65_001), "unknown"),
    ],
)
def test_what_no_impression_explains_is_refused_with_its_reason(joined: Joined, outcome: Answered, reason: str) -> None:
    joined.shows(shown(0, 5_000, impression()))
    joined.answers(outcome)
    assert joined.at(70_000)[1:] == [f"{reason} record 0"]


def test_an_unknown_request_delays_no_correction_behind_it(joined: Joined) -> None:
    joined.shows(shown(0, 5_000, impression()))
    joined.answers(answered(0, 9_000, request="ghost"), answered(1, 9_001))
    assert [one.kind for one in joined.at(9_050)] == ["list", "correction"]
    assert joined.at(9_501) == ["unknown record 0"]


def test_a_degraded_impression_is_counted_and_never_emitted(joined: Joined) -> None:
    joined.shows(shown(0, 5_000, impression(degraded=True)), shown(1, 5_001, impression("r2")))
    joined.answers(answered(0, 5_100))
    assert [one.origin.offset for one in joined.at(7_000)] == [1]
    assert joined.partition.counts == {"degraded": 1, "answers_degraded": 1}


def test_an_impression_of_another_task_is_another_joiners(joined: Joined) -> None:
    joined.shows(shown(0, 5_000, impression(task="ads")))
    joined.answers(answered(0, 5_100))
    assert joined.at(70_000) == []


def test_an_append_time_that_steps_back_within_the_skew_is_in_time(joined: Joined) -> None:
    joined.shows(shown(0, 5_000, impression()))
    joined.answers(answered(0, 6_009, request="ghost"))
    assert say(joined.partition.step()) == []
    joined.answers(answered(1, 6_000))
    (example,) = joined.at(6_050)
    assert [one.offset for one in example.outcomes] == [1]


def test_an_outcome_seen_beyond_the_skew_is_not_lost(joined: Joined) -> None:
    joined.shows(shown(0, 5_000, impression()))
    assert [one.kind for one in joined.at(6_500)] == ["list"]
    joined.answers(answered(0, 5_900))
    assert [one.kind for one in joined.at(6_600)] == ["correction"]
    assert joined.partition.counts["beyond_skew"] == 1


def test_commits_hold_back_what_a_restart_must_read_again(joined: Joined) -> None:
    joined.shows(shown(4, 5_000, impression()), shown(5, 7_000, impression("r2")))
    joined.answers(answered(10, 5_100), answered(11, 5_100, "b"), answered(12, 6_495, request="ghost"))
    joined.at(6_450)
    assert joined.partition.safe() == Safe(Mark(4, 5), Mark(10, 12))
    joined.at(9_000)
    assert joined.partition.safe() == Safe(Mark(4, 6), Mark(10, 13))
    joined.at(65_100)
    assert joined.partition.safe() == Safe(Mark(5, 6), Mark(13, 13))


def test_a_restart_pays_no_label_twice(joined: Joined, tmp_path: Path) -> None:
    joined.shows(shown(0, 5_000, impression()))
    joined.answers(answered(0, 9_000))
    assert len(joined.at(10_000)) == 2
    again = Joined(tmp_path / "again", joined.partition.safe())
    again.shows(shown(0, 5_000, impression()))
    again.answers(answered(0, 9_000), answered(1, 9_500))
    assert again.at(11_000) == []
    assert again.partition.counts == {"repeated": 1}


def test_what_can_no_longer_be_answered_is_let_go(joined: Joined) -> None:
    joined.shows(*(shown(offset, 1_000 * offset, impression(f"r{offset}")) for offset in range(100)))
    joined.at(99_000)
    joined.partition.safe()
    assert joined.partition.waiting.first == 39
    assert len(joined.partition.waiting) == 61
