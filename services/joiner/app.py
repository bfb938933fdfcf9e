"""The joiner's wiring: polls go into the partitions of the join, what is due goes to Kafka, what is acknowledged is committed."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from services.joiner import intake, metrics
from services.joiner.join import Partition
from services.joiner.pace import Pace
from services.joiner.records import Learn, Mark, Refuse, Safe
from services.joiner.rule import Rule
from services.joiner.segments import Segments
from shared import topics, traces
from shared.dead_letters import DeadLetters
from shared.decoding import Record
from shared.errors import FreshetError
from shared.failpoints import failpoint
from shared.messages import Behaviour, Impression
from shared.stream import App, Start, Starts

IMPRESSIONS, BEHAVIOUR = Impression.topic, Behaviour.topic
TICK_S = 0.02
"""How often the ends of topics are asked for, of the partitions in which time alone would make something due."""
QUIET_TICKS = 50
"""Ticks between two such questions where nothing waits."""
COMMIT_S = 0.5


class Joiner:
    """One worker: the partitions that are its own, and what it sends of them.

    Args:
        app: where the polls come from and the commits go.
        producer: sends the examples, in order.
        rule: the join's.
        partitions: count of the topics' partitions.
        folder: of the waiting impressions' bytes, this worker's alone.
    """

    def __init__(self, app: App, producer: AIOKafkaProducer, rule: Rule, partitions: int, folder: Path) -> None:
        self.app, self._producer, self._rule, self._count, self._folder = app, producer, rule, partitions, folder
        self._topic, self._labels = topics.examples(rule.task), frozenset(rule.labels)
        self._letters = DeadLetters(producer, "joiner")
        self.partitions: dict[int, Partition] = {}
        self._paces: dict[int, Pace] = {}
        self._paused: set[TP] = set()
        self._refused: dict[int, list[Refuse]] = {}
        self._safe: dict[int, Safe] = {}
        self._committed: dict[int, Safe] = {}
        self._changed: set[int] = set()
        self._wake = asyncio.Event()
        app.began, app.revoked = self.begin, self.release
        app.agent(app.source(IMPRESSIONS), name="impressions")(self.read_impressions)
        app.agent(app.source(BEHAVIOUR), name="behaviour")(self.read_behaviour)
        for loop in (self.emit_due, self.watch_time, self.keep_committing):
            app.task(loop)

    def begin(self, starts: Starts) -> None:
        """Make the partitions' state anew, where their reading begins."""
        self.app.consumer.resume_partitions(self._paused & {TP(*tp) for tp in starts})
        self._drop()
        for number in sorted({tp.partition for tp in starts}):
            try:
                shown, answered = (starts[TopicPartition(topic, number)] for topic in (IMPRESSIONS, BEHAVIOUR))
            except KeyError:
                raise FreshetError(f"Partition {number} of {IMPRESSIONS} and {BEHAVIOUR} went to different workers.") from None
            store = Segments(self._folder / str(number))
            self.partitions[number] = Partition(number, self._rule, store, Safe(mark(shown), mark(answered)))
            self._paces[number] = Pace(self.partitions[number])

    async def release(self) -> None:
        """Commit what is acknowledged, and let the partitions go."""
        await self.commit()
        self._drop()

    async def read_impressions(self, stream: Any) -> None:
        """Take the polls of ``impressions``."""
        async for records in self.app.batches(stream):
            if pace := self._paces.get(records[0].partition):
                pace.shown.append(records)
                self._read_on(records[0].partition)

    async def read_behaviour(self, stream: Any) -> None:
        """Take the polls of ``behaviour``."""
        async for records in self.app.batches(stream):
            if pace := self._paces.get(records[0].partition):
                pace.answered.append(records)
                self._read_on(records[0].partition)

    def _read_on(self, number: int) -> None:
        """Take the polls that may be read; while others wait, no more are fetched of their topic."""
        partition, pace = self.partitions[number], self._paces[number]
        while records := pace.take():
            self._take(partition, records)
        for topic, waiting in ((IMPRESSIONS, pace.shown), (BEHAVIOUR, pace.answered)):
            place = TP(topic, number)
            if waiting:
                self._paused.add(place)
                self.app.consumer.pause_partitions({place})
            elif place in self._paused:
                self._paused.remove(place)
                self.app.consumer.resume_partitions({place})

    def _take(self, partition: Partition, records: Sequence[Record]) -> None:
        last = records[-1]
        if last.topic == IMPRESSIONS:
            shown, refused = intake.impressions(records, self._count)
            partition.read_impressions(shown, last.offset + 1, int(last.timestamp))
            self._took(partition.number, refused, partition.begin.impressions.emitted)
        else:
            answered, refused = intake.outcomes(records, self._count, self._labels)
            partition.read_behaviour(answered, last.offset + 1, int(last.timestamp))
            self._took(partition.number, refused, partition.begin.behaviour.emitted)

    def _took(self, number: int, refused: Sequence[Refuse], emitted: int) -> None:
        new = [one for one in refused if one.record.offset >= emitted]
        self._refused.setdefault(number, []).extend(new)
        self._changed.add(number)
        self._wake.set()

    async def emit_due(self) -> None:
        """Send what is due as soon as it is; any failure ends the process, since only reading again repairs it."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            changed, self._changed = self._changed, set()
            stepped = [partition for number in changed if (partition := self.partitions.get(number))]
            due = {partition.number: [*self._refused.pop(partition.number, []), *partition.step()] for partition in stepped}
            safe = {partition.number: partition.safe() for partition in stepped}
            await self._send(due)
            failpoint("joiner.before_commit")
            for partition in stepped:
                if self.partitions.get(partition.number) is partition:
                    self._safe[partition.number] = safe[partition.number]
                self._measure(partition)

    async def _send(self, due: dict[int, list[Learn | Refuse]]) -> None:
        sent = []
        for number, emissions in due.items():
            for one in emissions:
                if isinstance(one, Learn):
                    sent.append(await self._producer.send(self._topic, one.value, key=one.key.encode(), partition=number))
                    failpoint("joiner.emit")
        refused = [one for emissions in due.values() for one in emissions if isinstance(one, Refuse)]
        await asyncio.gather(*sent, *(self._letters.send(one.reason, one.detail, one.record) for one in refused))
        now = time.time()
        for emissions in due.values():
            for emission in emissions:
                count(emission, now)

    async def watch_time(self) -> None:
        """Let time pass for topics that are read to their end: what the broker holds beyond it will be newer."""
        tick = 0
        while True:
            await asyncio.sleep(TICK_S)
            tick += 1
            now = int(time.time() * 1000)  # before the question
            asked = {number: one for number, one in self.partitions.items() if self._due(one, now) or tick % QUIET_TICKS == 0}
            wanted = {TopicPartition(topic, number) for number in asked for topic in (IMPRESSIONS, BEHAVIOUR)}
            try:
                ends = await self.app.highwaters(wanted & self.app.assigned())
            except (KafkaError, ValueError):
                continue  # the broker is away, or the partitions are: time stands still
            for number, partition in asked.items():
                if self.partitions.get(number) is partition:
                    self._pass(partition, ends, now - self._rule.skew)

    def _due(self, partition: Partition, now: int) -> bool:
        return partition.due(now) or self._paces[partition.number].waits

    def _pass(self, partition: Partition, ends: Mapping[TopicPartition, int], time: int) -> None:
        end = {topic: ends.get(TopicPartition(topic, partition.number), 1 << 62) for topic in (IMPRESSIONS, BEHAVIOUR)}
        if partition.shown_next >= end[IMPRESSIONS]:
            partition.all_shown_before(time)
        if partition.answered_next >= end[BEHAVIOUR]:
            partition.all_answered_before(time)
        self._read_on(partition.number)
        self._changed.add(partition.number)
        self._wake.set()

    async def keep_committing(self) -> None:
        """Commit now and then."""
        while True:
            await asyncio.sleep(COMMIT_S)
            await self.commit()

    async def commit(self) -> None:
        """Commit what is acknowledged."""
        new = {number: safe for number, safe in self._safe.items() if self._committed.get(number) != safe}
        offsets = {
            (topic, number): (at.offset, str(at.emitted))
            for number, safe in new.items()
            for topic, at in ((IMPRESSIONS, safe.impressions), (BEHAVIOUR, safe.behaviour))
        }
        if offsets and await self.app.commit_offsets(offsets):
            self._committed.update(new)

    def _measure(self, partition: Partition) -> None:
        for reason, n in partition.counts.items():
            metrics.passed_over.labels(reason).inc(n)
        partition.counts.clear()
        metrics.waiting.labels(partition.number).set(len(partition.waiting))
        metrics.disk.labels(partition.number).set(cast(Segments, partition.store).size)

    def _drop(self) -> None:
        for partition in self.partitions.values():
            cast(Segments, partition.store).close()
            metrics.waiting.remove(partition.number)
            metrics.disk.remove(partition.number)
        for state in (self.partitions, self._paces, self._paused, self._refused, self._safe, self._committed):
            state.clear()


def mark(start: Start) -> Mark:
    """What was committed, read back; where somebody else committed, all is emitted from the offset on."""
    return Mark(start.offset, int(start.metadata) if start.metadata.isdecimal() else start.offset)


def count(emission: Learn | Refuse, now: float) -> None:
    """Note what was acknowledged at ``now``, in seconds."""
    if isinstance(emission, Learn):
        metrics.emitted.labels(emission.kind).inc()
        metrics.delay.labels(emission.kind).observe(max(0.0, now - emission.complete / 1000))
        traces.note("join", emission.trace, emission.complete / 1000, kind=emission.kind)
    elif emission.reason in ("unknown", "not_shown", "other_user"):
        metrics.unmatched.labels(emission.reason).inc()
