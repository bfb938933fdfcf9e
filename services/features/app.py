"""Wires the topics to the rows: gathers what is polled, folds and flushes it."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import TopicPartition
from redis.exceptions import RedisError

from services.features import metrics
from services.features.by_item import most_events
from services.features.cache import Cache
from services.features.catalogue import Catalogue
from services.features.flush import Flush
from services.features.gathered import Gathered, runs
from services.features.history import History, destination
from services.features.items import Items
from services.features.markers import Markers, Place
from services.features.settings import FeaturesSettings
from services.features.users import Users
from shared import valkey
from shared.dead_letters import DeadLetters
from shared.errors import BadSettings
from shared.features.plans import Plans
from shared.features.writer import RowWriter
from shared.kafka import check_topics, producer, started
from shared.messages import Behaviour, DeadLetter, Item
from shared.stream import App, Start, Starts
from shared.topics import BEHAVIOUR_BY_ITEM

TOPICS = (Behaviour.topic, BEHAVIOUR_BY_ITEM, Item.topic)


class FeaturesApp(App):
    """The features service: three topics, three views, one flush."""

    def __init__(self, settings: FeaturesSettings, plans: Plans, client: Any, kafka: Any) -> None:
        super().__init__("features", settings, instance=settings.features_instance, session=settings.features_session_s)
        partitions, n = settings.partitions, settings.features_items
        self.users = Users(
            plans.user, client, settings.features_users, partitions=partitions, per_minute=settings.features_per_minute,
            usual=settings.features_acts,
        )  # fmt: skip
        self.items = Items(plans.item, client, n, partitions=partitions)
        self.catalogue = Catalogue(plans.catalogue, client, n, partitions=partitions)
        self.caches = (self.users.cache, self.items.cache, self.catalogue.cache)
        self.markers = Markers(client, settings.project)
        self.flush = Flush(self.caches, self.markers, RowWriter(client), kafka, DeadLetters(kafka, "features"))
        self.history = History(put) if (put := destination(settings)) else None
        for cache in self.caches:
            cache.unrecorded = set() if self.history else None
        self.start_offsets, self.began, self.revoked = self._claim, self._begin, self._let_go
        self._client, self._kafka = client, kafka
        self._read: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}
        self._gathered: dict[str, tuple[Any, Gathered]] = {
            Behaviour.topic: (self.users, Gathered()),
            BEHAVIOUR_BY_ITEM: (self.items, Gathered(most_events)),
            Item.topic: (self.catalogue, Gathered()),
        }
        self._folding = asyncio.Lock()
        self._caught_up, self._open, self._life = False, False, 0
        self._wire(settings)

    @property
    def reading(self) -> bool:
        """Whether what stood on the topics when they were assigned is in the rows."""
        return super().reading and self._caught_up

    def _wire(self, settings: FeaturesSettings) -> None:
        for topic in TOPICS:
            self.agent(self.source(topic), name=topic)(self._gather)
        self.timer(settings.features_flush_s)(self._tick)
        self.timer(0.2)(self._compare)
        if self.history:
            self.timer(settings.features_history_s)(self._record)

    async def _gather(self, stream: Any) -> None:
        async for records in self.batches(stream):
            if self._open:
                _, gathered = self._gathered[records[0].topic]
                gathered.add(records)
                if gathered.full:
                    await self._fold()

    async def _fold(self) -> None:
        """Count what was gathered. A rebalance meanwhile takes the rest away: it is read again."""
        async with self._folding:
            for side, gathered in self._gathered.values():
                for part in gathered.take():
                    read = side.decode(part)
                    if not await self._here(side.cache, read.names):
                        return
                    self.flush.pending.records += side.apply(read)
                    self._passed(part, read.letters)

    async def _here(self, cache: Cache, names: Sequence[str]) -> bool:
        """Bring the ids' rows into memory; False when a rebalance took the batch away meanwhile."""
        life = self._life
        while not await cache.touch(names):
            await self._write()
        return self._open and life == self._life

    def _passed(self, records: list[Any], letters: list[tuple[str, str, Any]]) -> None:
        self.flush.pending.letters += letters
        for first, last in runs(records):
            missed = first.offset - self._read.get((last.topic, last.partition), first.offset)
            if missed > 0 and last.topic != Item.topic:  # a compacted topic has gaps
                metrics.missed.labels(last.topic).inc(missed)
            self.flush.pending.positions[last.topic, last.partition] = last.offset + 1
            self._read[last.topic, last.partition] = last.offset + 1

    async def _tick(self) -> None:
        await self._fold()
        await self._write()

    async def _write(self) -> None:
        positions = await self.flush()
        if positions:
            await self.commit_offsets({place: (offset, "") for place, offset in positions.items()})

    async def _compare(self) -> None:
        if self._open:
            self._caught_up = self._caught_up or all(self._read.get(place, 0) >= end for place, end in self._ends.items())

    async def _claim(self, partitions: Iterable[TopicPartition]) -> Starts:
        mine = list(partitions)
        ends = {(tp.topic, tp.partition): end for tp, end in (await self.highwaters(mine)).items()}
        offsets = await self.markers.claim(ends)
        for place, offset in offsets.items():
            if offset > ends[place]:
                raise BadSettings(
                    f"Valkey has counted {place[0]}/{place[1]} up to {offset}, Kafka has it up to {ends[place]}: "
                    "they are not of one stack; point FRESHET_REDIS to the Valkey that belongs to this Kafka, or to an empty one"
                )
        self._ends = ends
        return {TopicPartition(*place): Start(offset) for place, offset in offsets.items()}

    def _begin(self, starts: Starts) -> None:
        self._forget()
        self._open = True
        self._read = {(tp.topic, tp.partition): start.offset for tp, start in starts.items()}

    async def _let_go(self) -> None:
        await self._tick()
        self.markers.forget()
        self._forget()

    def _forget(self) -> None:
        self.flush.drop()
        for _, gathered in self._gathered.values():
            gathered.clear()
        for cache in self.caches:
            cache.clear()
        self._read, self._caught_up = {}, False
        self._open, self._life = False, self._life + 1

    async def _record(self) -> None:
        for cache in self.caches:
            if self.history and (part := cache.record()):
                cache.unrecord(await asyncio.to_thread(self.history.append, cache.view.plan, part))

    async def on_stop(self) -> None:
        """Leave with everything written."""
        await super().on_stop()
        await self._record()
        await self._kafka.stop()
        await self._client.aclose()


async def build(settings: FeaturesSettings) -> FeaturesApp:
    """The app, with its engines found and its topics checked.

    Raises:
        StoreUnavailable: Valkey does not answer.
        BadSettings: nothing was applied yet, or a topic differs from the table.
    """
    await check_topics(settings, [*TOPICS, DeadLetter.topic])
    client = valkey.connect_async(settings)
    try:
        plans = await Plans.load(client, settings.project)
    except (RedisError, OSError) as error:
        raise valkey.away(settings, error) from error
    return FeaturesApp(settings, plans, client, await started(producer(settings)))
