"""How long examples have waited to be learned: what starts an updater that is stopped in between.

The joiner runs all the time and the updater may not, so that it is the joiner who looks: the plans of ``windows.<task>`` say which
examples have been taken, and the first one after them has waited longest. A plan is written before it is learned and is learned
again by whoever starts next, so that what it names needs nobody to be started.
"""

import asyncio
import time
from collections.abc import Callable, Collection

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.joiner import metrics
from shared.decoding import decoded
from shared.errors import BadRecord
from shared.messages import WindowPlan
from shared.topics import HOUR, examples, table, windows

LOOK_S = 5.0
FETCH_BYTES = 1 << 20
"""Of the reader, which looks at one partition after another: there is seldom more of an example in memory."""

_plans = msgspec.msgpack.Decoder(WindowPlan)


class Unlearned:
    """Looks, now and then, for the first example of each partition that no window has taken.

    Args:
        reader: a consumer of its own, in no group; it is stopped with :meth:`watch`.
        task: the task's name.
        mine: tells the partitions to look at, which are those that this worker joins.
    """

    def __init__(self, reader: AIOKafkaConsumer, task: str, mine: Callable[[], Collection[int]]) -> None:
        self._reader, self._task, self._mine = reader, task, mine
        self._plans = TopicPartition(windows(task), 0)
        self._next: int | None = None
        self._epoch = 0
        self._ends: dict[int, int] = {}
        self._first: dict[int, tuple[int, float]] = {}

    async def watch(self) -> None:
        """Show the age of the oldest; while it cannot be known, none is shown, so that nobody acts on it."""
        try:
            while True:
                try:
                    async with asyncio.timeout(4 * LOOK_S):
                        age = await self.seconds(time.time())
                except (KafkaError, TimeoutError):
                    age = None
                show(self._task, age)
                await asyncio.sleep(LOOK_S)
        finally:
            await self._reader.stop()

    async def seconds(self, now: float) -> float | None:
        """How long the oldest has waited at ``now``; 0 where none does, ``None`` where this worker has no partition.

        Raises:
            KafkaError: the broker did not answer.
        """
        partitions = [TopicPartition(examples(self._task), number) for number in sorted(self._mine())]
        if not partitions:
            return None
        await self._follow(now)
        begins, ends = await self._reader.beginning_offsets(partitions), await self._reader.end_offsets(partitions)
        oldest = now
        for partition in partitions:
            first = max(begins[partition], self._ends.get(partition.partition, 0))
            if first < ends[partition]:
                oldest = min(oldest, await self._written(partition, first))
        return now - oldest

    async def _follow(self, now: float) -> None:
        """Read the plans up to the topic's end: first those that may be of an example which is still kept."""
        if self._next is None:
            kept = table()[examples(self._task)].retention_ms + HOUR
            found = await self._reader.offsets_for_times({self._plans: round(now * 1000) - kept})
            began = found[self._plans]
            self._next = began.offset if began else None
        end = (await self._reader.end_offsets([self._plans]))[self._plans]
        self._next = end if self._next is None else self._next
        self._reader.assign([self._plans])
        self._reader.seek(self._plans, self._next)
        while self._next < end:
            for record in (await self._reader.getmany(self._plans, timeout_ms=1000)).get(self._plans, ()):
                self._take(record.value)
                self._next = record.offset + 1

    def _take(self, value: bytes | None) -> None:
        """Note what a plan takes; those of an updater that had been replaced take nothing."""
        try:
            plan = decoded(_plans.decode, value)
        except BadRecord:
            return
        if plan.epoch >= self._epoch:
            self._epoch = plan.epoch
            self._ends |= {int(partition): end for partition, (_, end) in plan.ranges.items()}

    async def _written(self, partition: TopicPartition, offset: int) -> float:
        """When the record at this offset was written."""
        known, written = self._first.get(partition.partition, (-1, 0.0))
        if known != offset:
            self._reader.assign([partition])
            self._reader.seek(partition, offset)
            while not (records := (await self._reader.getmany(partition, timeout_ms=1000, max_records=1)).get(partition)):
                pass
            written = records[0].timestamp / 1000
            self._first[partition.partition] = offset, written
        return written


def show(task: str, age: float | None) -> None:
    """Export the age in seconds, or that it is not known."""
    if age is not None:
        metrics.unlearned.labels(task).set(age)
    else:
        metrics.unlearned.remove(task)
