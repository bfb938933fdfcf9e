"""What a play left on the topics, read from the broker without a consumer group."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.decoding import decoded
from shared.errors import BadRecord
from shared.kafka import consumer, started
from shared.messages import Behaviour, BundleAnnouncement, DeadLetter, Example, Impression
from shared.settings import Settings
from shared.topics import examples, table

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
    unmatched: dict[str, set[tuple[str, int, int]]] = field(default_factory=dict)
    """The joiner's reasons → distinct origins among the play's events."""
    dead: dict[str, int] = field(default_factory=dict)
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
    client = await started(consumer(settings))
    topics, asked, told = Topics(), set(requests), set(play_events)
    takers: dict[str, Callable[[ConsumerRecord], None]] = {
        Behaviour.topic: lambda record: _event(topics, record, told),
        Impression.topic: lambda record: _impression(topics, record, asked),
        examples(settings.task): lambda record: _example(topics, record, asked),
        DeadLetter.topic: _DeadLetters(topics),
        BundleAnnouncement.topic: lambda record: _announcement(topics, record, settings.task),
    }
    try:
        for name, take in takers.items():
            async for record in _records(client, settings, name, since - BEFORE):
                try:
                    take(record)
                except BadRecord:
                    topics.undecodable += 1
    finally:
        await client.stop()
    return topics


async def _records(client: AIOKafkaConsumer, settings: Settings, topic: str, since: float) -> AsyncIterator[ConsumerRecord]:
    """Every record of a topic from a moment to the end that it has now."""
    partitions = [TopicPartition(topic, number) for number in range(table(settings.partitions)[topic].partitions)]
    client.assign(partitions)
    starts = await client.offsets_for_times(dict.fromkeys(partitions, int(since * 1000)))
    ends = await client.end_offsets(partitions)
    open_ = set()
    for partition in partitions:
        found = starts[partition]
        if found is not None and found.offset < ends[partition]:
            client.seek(partition, found.offset)
            open_.add(partition)
        else:
            client.pause(partition)
    while open_:
        for partition, records in (await client.getmany(timeout_ms=500, max_records=2_000)).items():
            for record in records:
                if record.offset < ends[partition]:
                    yield record
        open_ = {partition for partition in open_ if await client.position(partition) < ends[partition]}
    client.resume(*partitions)


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


class _DeadLetters:
    """Counts distinct origins: dead letters are written at least once."""

    def __init__(self, topics: Topics) -> None:
        self._topics, self._seen = topics, set[tuple[str, str, int, int]]()

    def __call__(self, record: ConsumerRecord) -> None:
        letter = decoded(_dead_letters, record.value)
        origin = (letter.origin.topic, letter.origin.partition, letter.origin.offset)
        if (letter.service, *origin) in self._seen:
            return
        self._seen.add((letter.service, *origin))
        name = f"{letter.service}: {letter.reason}"
        self._topics.dead[name] = self._topics.dead.get(name, 0) + 1
        if letter.service == "joiner" and origin[0] == Behaviour.topic and origin[1:] in self._topics.events:
            self._topics.unmatched.setdefault(letter.reason, set()).add(origin)


def _announcement(topics: Topics, record: ConsumerRecord, task: str) -> None:
    topics.announced += decoded(_announcements, record.value).task == task
