"""After an outage, neither topic is read far ahead of the other; what would be stays in Kafka."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from services.joiner.app import BEHAVIOUR, IMPRESSIONS, Joiner
from services.joiner.join import Partition
from services.joiner.pace import LEAD_MS, Pace
from services.joiner.records import Mark, Safe
from services.joiner.rule import Rule
from shared.kafka import partition_for
from shared.messages import Behaviour, Impression, Inputs
from shared.stream import Start

RULE = Rule("ranking", ("purchase",), wait=1_000, window=1_800_000, slack=5_000, skew=60)
HOME = partition_for("u", 16)
HOUR = 3_600_000


@dataclass(frozen=True)
class Arrived:
    topic: str
    offset: int
    timestamp: int
    value: bytes = b""
    partition: int = HOME
    key: bytes = b"u"


class Nowhere:
    """A store of nothing."""

    def append(self, values: list[bytes]) -> list[tuple[int, int]]:
        return []


class Reading:
    """A pace, what it let through of each topic, and how far each was known to be read."""

    def __init__(self) -> None:
        self.partition = Partition(0, RULE, Nowhere(), Safe(Mark(0, 0), Mark(0, 0)))  # type: ignore[arg-type]
        self.pace = Pace(self.partition)
        self.read: dict[str, list[Arrived]] = {IMPRESSIONS: [], BEHAVIOUR: []}

    def arrive(self, poll: list[Arrived]) -> None:
        (self.pace.shown if poll[0].topic == IMPRESSIONS else self.pace.answered).append(poll)
        self.go_on()

    def go_on(self) -> None:
        while poll := self.pace.take():
            shown = poll[0].topic == IMPRESSIONS
            far = self.partition.answered_time if shown else self.partition.shown_time
            assert poll[0].timestamp <= far + LEAD_MS + RULE.skew
            read = self.partition.read_impressions if shown else self.partition.read_behaviour
            read([], poll[-1].offset + 1, poll[-1].timestamp)
            self.read[poll[0].topic] += poll


def polls(topic: str, gaps: list[int]) -> list[list[Arrived]]:
    """A poll of two records for each gap, in ms."""
    made, now = [], 10 * HOUR
    for n, gap in enumerate(gaps):
        now += gap
        made.append([Arrived(topic, 2 * n, now), Arrived(topic, 2 * n + 1, now + 30 - RULE.skew)])
    return made


gaps = st.lists(st.sampled_from([0, 20, 500, 4_000, 60_000, HOUR]), max_size=12)


@settings(max_examples=300)
@given(gaps, gaps, st.randoms(use_true_random=False))
def test_all_that_arrives_is_read_in_order_however_far_apart_the_topics_are(
    shown: list[int], answered: list[int], dice: Any
) -> None:
    reading, left = Reading(), {IMPRESSIONS: polls(IMPRESSIONS, shown), BEHAVIOUR: polls(BEHAVIOUR, answered)}
    while any(left.values()):
        topic = dice.choice([topic for topic in left if left[topic]])
        reading.arrive(left[topic].pop(0))
    assert not (reading.pace.shown and reading.pace.answered), "of two that wait one may be taken"
    reading.partition.all_shown_before(1 << 60)
    reading.partition.all_answered_before(1 << 60)
    reading.go_on()
    assert not reading.pace.waits
    for topic, sent in ((IMPRESSIONS, shown), (BEHAVIOUR, answered)):
        assert [one.offset for one in reading.read[topic]] == list(range(2 * len(sent)))


def outcome(offset: int, time: int) -> Arrived:
    when = datetime.fromtimestamp(time / 1000, UTC)
    event = Behaviour(event_id=f"e{offset}", user_id="u", item_id="a", action="purchase", time=when, request_id=f"r{offset}")
    return Arrived(BEHAVIOUR, offset, time, msgspec.json.encode(event))


def impression(offset: int, time: int) -> Arrived:
    shown = Impression(
        request_id=f"r{offset}", task="ranking", user_id="u", time=0.0, bundle="b", inputs=Inputs(), items=("a",), scores=bytes(4)
    )
    return Arrived(IMPRESSIONS, offset, time, msgspec.msgpack.encode(shown))


class App:
    """What a joiner needs of its app, without Kafka."""

    def __init__(self) -> None:
        self.paused: set[Any] = set()
        self.consumer = SimpleNamespace(
            pause_partitions=self.paused.update, resume_partitions=lambda places: self.paused.difference_update(places)
        )

    def agent(self, *_: Any, **__: Any) -> Callable[[Any], Any]:
        return lambda read: read

    def source(self, topic: str) -> str:
        return topic

    def task(self, loop: Any) -> None:
        pass

    async def batches(self, stream: list[list[Arrived]]) -> Any:
        for poll in stream:
            yield poll


@pytest.fixture
def joiner(tmp_path: Path) -> Joiner:
    made = Joiner(App(), None, RULE, 16, tmp_path)  # type: ignore[arg-type]
    made.begin({TopicPartition(topic, HOME): Start(0) for topic in (IMPRESSIONS, BEHAVIOUR)})
    return made


async def test_outcomes_of_hours_wait_undecoded_and_their_topic_is_paused_until_their_impressions_are_read(joiner: Joiner) -> None:
    partition, times = joiner.partitions[HOME], [HOUR + 10_000 * n for n in range(2_000)]
    await joiner.read_behaviour([[outcome(n, time)] for n, time in enumerate(times)])
    assert len(partition._ordered) == 0
    assert joiner.app.paused == {(BEHAVIOUR, HOME)}
    most = 0
    for n, time in enumerate(times):
        await joiner.read_impressions([[impression(n, time)]])
        partition.step()
        partition.safe()
        most = max(most, len(partition._ordered) + len(partition._undecided))
    assert most < 10
    assert partition.answered_next == 2_000
    assert not joiner.app.paused


async def test_a_topic_that_is_idle_lets_the_other_pass_once_time_has(joiner: Joiner) -> None:
    partition = joiner.partitions[HOME]
    await joiner.read_impressions([[impression(0, HOUR)], [impression(1, 2 * HOUR)]])
    assert joiner.app.paused == {(IMPRESSIONS, HOME)}
    ends = {TopicPartition(IMPRESSIONS, HOME): 2, TopicPartition(BEHAVIOUR, HOME): 0}
    joiner._pass(partition, ends, 3 * HOUR)
    assert partition.shown_next == 2
    assert not joiner.app.paused


async def test_partitions_that_are_given_anew_are_read_from_their_beginning(joiner: Joiner) -> None:
    await joiner.read_behaviour([[outcome(0, HOUR)]])
    joiner.begin({TopicPartition(topic, HOME): Start(0) for topic in (IMPRESSIONS, BEHAVIOUR)})
    assert not joiner.app.paused
    assert not joiner._paces[HOME].waits
