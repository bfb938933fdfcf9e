"""What a play left on the topics, read from the broker without a consumer group."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec
from aiokafka import ConsumerRecord

from infra.local.records import records
from shared.dead_letters import distinct
from shared.decoding import decoded
from shared.errors import BadRecord
from shared.messages import Behaviour, BundleAnnouncement, DeadLetter, Example, Impression
from shared.settings import Settings
from shared.topics import examples

BEFORE = 60.0
"""Seconds before a play's start from which topics are read: clocks differ."""


class _EventId(msgspec.Struct):
    event_id: str


@dataclass(slots=True)
class Topics:
    """The records that belong to one play."""

    events: dict[tuple[int, int], str] = field(default_factory=dict)
    """Partition and offset on ``behaviour`` → event_id."""
    impressions: dict[str, Impression] = field(default_factory=dict)
    """By request_id."""
    lists: int = 0
    corrections: int = 0
    unmatched: Counter[str] = field(default_factory=Counter)
    """The joiner's reasons → distinct origins among the play's events."""
    dead: Counter[str] = field(default_factory=Counter)
    """``service: reason`` → distinct origins, of anybody's records since the play began."""
    announced: int = 0
    undecodable: int = 0
    """Records, of anybody's, that are no message of their topic."""


async def read(settings: Settings, since: float, requests: Iterable[str], play_events: Iterable[str]) -> Topics:
    """Everything on the topics that these requests and events left.

    Args:
        settings: where Kafka is.
        since: the play's start, wall time.
        requests: the play's request_ids.
        play_events: the play's event_ids.
    """
    topics, letters, asked, told = Topics(), list[DeadLetter](), set(requests), set(play_events)
    takers: dict[str, Callable[[ConsumerRecord], None]] = {
        Behaviour.topic: lambda record: _event(topics, record, told),
        Impression.topic: lambda record: _impression(topics, record, asked),
        examples(settings.task): lambda record: _example(topics, record, asked),
        DeadLetter.topic: lambda record: letters.append(decoded(_dead_letters, record.value)),
        BundleAnnouncement.topic: lambda record: _announcement(topics, record, settings.task),
    }
    for name, take in takers.items():
        async for record in records(settings, name, since - BEFORE):
            try:
                take(record)
            except BadRecord:
                topics.undecodable += 1
    _count(topics, letters)
    return topics


_event_id = msgspec.json.Decoder(_EventId).decode
_impressions = msgspec.msgpack.Decoder(Impression).decode
_examples = msgspec.msgpack.Decoder(Example).decode
_dead_letters = msgspec.json.Decoder(DeadLetter).decode
_announcements = msgspec.json.Decoder(BundleAnnouncement).decode


def _event(topics: Topics, record: ConsumerRecord, told: set[str]) -> None:
    event = decoded(_event_id, record.value).event_id
    if event in told:
        topics.events[record.partition, record.offset] = event


def _impression(topics: Topics, record: ConsumerRecord, asked: set[str]) -> None:
    impression = decoded(_impressions, record.value)
    if impression.request_id in asked:
        topics.impressions[impression.request_id] = impression


def _example(topics: Topics, record: ConsumerRecord, asked: set[str]) -> None:
    example = decoded(_examples, record.value)
    if example.impression.request_id not in asked:
        return
    if example.kind == "list":
        topics.lists += 1
    else:
        topics.corrections += 1


def _count(topics: Topics, letters: Iterable[DeadLetter]) -> None:
    """Count each origin once."""
    for letter in distinct(letters):
        topics.dead[f"{letter.service}: {letter.reason}"] += 1
        origin = letter.origin
        if letter.service == "joiner" and origin.topic == Behaviour.topic and (origin.partition, origin.offset) in topics.events:
            topics.unmatched[letter.reason] += 1


def _announcement(topics: Topics, record: ConsumerRecord, task: str) -> None:
    topics.announced += decoded(_announcements, record.value).task == task
