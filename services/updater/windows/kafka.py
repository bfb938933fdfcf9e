"""Windows from Kafka: the topic of plans is followed and written, examples are read in exactly the ranges that the plans name."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from services.updater import exported
from services.updater.settings import UpdaterSettings
from services.updater.windows.planner import Planner, Read
from services.updater.windows.plans import Plans
from services.updater.windows.window import Window
from shared.dead_letters import DeadLetters
from shared.decoding import decoded
from shared.errors import BadRecord, Fenced, FreshetError
from shared.failpoints import failpoint
from shared.kafka import deliver
from shared.messages import Example, Turn, Verdict, WindowPlan
from shared.telemetry import last_record_age
from shared.topics import examples, windows

_examples = msgspec.msgpack.Decoder(Example)

Judge = Callable[[list[Example], float], Verdict]
"""What of these examples is not learned, at this moment; it may take its time, and is asked in a thread."""

IDLE_S = 0.1
POLL = 64
"""Records taken at once, so that a window is not much longer than it may be."""
PATIENCE_S = 600.0
"""How long a plan waits for Kafka before the process gives up and starts again."""
EXPIRED = "its retention is shorter than the outage; restore a newer bundle's checkpoint, or import history anew"


class PlanLog:
    """``windows.<task>``: read to its end, and written by one updater at a time."""

    def __init__(self, task: str, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, plans: Plans) -> None:
        self._task, self._consumer, self._producer, self.plans = task, consumer, producer, plans
        self._partition = TopicPartition(windows(task), 0)
        self.epoch = 0
        """This life's; 0 before it has claimed one."""

    async def follow(self) -> None:
        """Fold everything that stands on the topic now."""
        self._consumer.assign([self._partition])
        self._consumer.seek(self._partition, self.plans.next_offset)
        end = (await self._consumer.end_offsets([self._partition]))[self._partition]
        while self.plans.next_offset < end:
            for record in (await self._consumer.getmany(timeout_ms=1000)).get(self._partition, ()):
                if not self.plans.read(record.offset, record.value):
                    exported.void_plans.inc()

    async def claim(self, floor: int) -> None:
        """Take over with an epoch above every earlier one and above ``floor``; older updaters' plans are void from here on."""
        while True:
            await self.follow()
            self.epoch = max(self.plans.epoch, floor) + 1
            plan = self._next({}, ())
            offset = await self._send(plan)
            if offset == self.plans.next_offset:  # nobody wrote in between
                self.plans.fold(offset, plan)
                return

    async def write(
        self, ranges: dict[str, tuple[int, int]], catalogues: tuple[str, ...], race: Turn | None = None,
        verdict: Verdict | None = None,
    ) -> WindowPlan:  # fmt: skip
        """Plan the next window; it may be learned once this returns.

        Raises:
            Fenced: an updater of a higher epoch has written since.
        """
        plan = self._next(ranges, catalogues, race)
        if verdict:
            plan = msgspec.structs.replace(plan, without=bool(verdict.skips), verdict=verdict)
        offset = await self._send(plan)
        if offset != self.plans.next_offset:
            await self.follow()
            if self.plans.epoch > self.epoch:
                raise Fenced(f"an updater of epoch {self.plans.epoch} took over from epoch {self.epoch}")
        else:
            self.plans.fold(offset, plan)
        return plan

    def _next(self, ranges: dict[str, tuple[int, int]], catalogues: tuple[str, ...], race: Turn | None = None) -> WindowPlan:
        return WindowPlan(
            task=self._task,
            window=self.plans.window + 1,
            epoch=self.epoch,
            ranges=ranges,
            catalogues=catalogues,
            planned_at=time.time(),
            race=race,
        )

    async def _send(self, plan: WindowPlan) -> int:
        sent = await deliver(self._producer, windows(self._task), msgspec.msgpack.encode(plan), partition=0, seconds=PATIENCE_S)
        return int(sent.offset)


class KafkaWindows:
    """The windows of a task: first those that earlier lives planned, then new ones, until it is told to stop.

    Args:
        replay: plans to learn again, in order; they begin at ``offsets``.
        catalogues: takes the storage keys of new catalogue files that wait for a plan.
        saved: tells the window of this life's newest checkpoint; plans up to it are forgotten.
        turn: tells what the next plan says of the race.
        judge: tells what of the next window is not learned.
    """

    def __init__(
        self, settings: UpdaterSettings, log: PlanLog, consumer: AIOKafkaConsumer, letters: DeadLetters, replay: list[WindowPlan],
        offsets: dict[str, int], catalogues: Callable[[], tuple[str, ...]], saved: Callable[[], int],
        turn: Callable[[], Turn | None] = lambda: None,
        judge: Judge = lambda examples, now: Verdict(),
    ) -> None:  # fmt: skip
        self._topic, self._settings = examples(settings.task), settings
        self._log, self._consumer, self._letters, self._catalogues, self._saved = log, consumer, letters, catalogues, saved
        self._turn, self._judge = turn, judge
        self._replay = deque(replay)
        self._partitions = [TopicPartition(self._topic, partition) for partition in range(settings.partitions)]
        self._positions = {partition: offsets.get(str(partition), 0) for partition in range(settings.partitions)}
        self._ahead: dict[int, deque[Any]] = {partition: deque() for partition in range(settings.partitions)}
        self._last: dict[TopicPartition, tuple[int, float]] = {}
        self._planner: Planner | None = None
        self.stopping = False

    async def start(self) -> None:
        """Go to where learning goes on.

        Raises:
            FreshetError: examples that have yet to be learned are no longer on the topic.
        """
        self._consumer.assign(self._partitions)
        beginning = await self._consumer.beginning_offsets(self._partitions)
        planned = {int(partition) for plan in self._replay for partition in plan.ranges}
        for topic_partition, first in beginning.items():
            partition = topic_partition.partition
            if self._positions[partition] == 0 and partition not in planned:
                self._positions[partition] = first  # nothing of it was learned: what has expired is not missed
            if self._positions[partition] < first:
                raise FreshetError(f"{self._topic}[{partition}] begins at {first}, not at {self._positions[partition]}: {EXPIRED}")
            self._consumer.seek(topic_partition, self._positions[partition])
            last_record_age.labels(self._topic, str(partition)).set_function(partial(self._age, topic_partition))

    def stop(self) -> None:
        """End after the window that is being cut."""
        self.stopping = True

    async def next(self) -> Window | None:
        """The next window, or ``None`` for a moment without one.

        Raises:
            StopAsyncIteration: it was told to stop.
            Fenced: another updater took over.
        """
        if self.stopping:
            raise StopAsyncIteration
        if self._replay:
            return await self._again(self._replay.popleft())
        if self._planner is None:
            self._planner = Planner(self._positions, window_s=self._settings.window_s, window_rows=self._settings.window_rows)
        return await self._plan(self._planner)

    async def _again(self, plan: WindowPlan) -> Window:
        reads: list[Read] = []
        for partition in sorted(map(int, plan.ranges)):
            reads += await self._until(partition, plan.ranges[str(partition)][1])
        return Window(plan, [read.example for read in reads if read.example], self._log.plans.ends[plan.window], replayed=True)

    async def _until(self, partition: int, end: int) -> list[Read]:
        """The records of a partition up to an offset; what was fetched beyond it waits."""
        ahead, reads = self._ahead[partition], []
        while self._positions[partition] < end:
            if not ahead:
                await self._fetch(partition)
                continue
            record = ahead.popleft()
            reads.append(_read(record)[0])
            self._positions[partition] = record.offset + 1
        return reads

    async def _fetch(self, partition: int) -> None:
        wanted = TopicPartition(self._topic, partition)
        fetched = await self._consumer.getmany(wanted, timeout_ms=1000)
        self._note(fetched)
        self._ahead[partition].extend(fetched.get(wanted, ()))

    async def _plan(self, planner: Planner) -> Window | None:
        catalogues = self._catalogues()
        while (wait := planner.wait(time.monotonic())) is None or wait > 0:
            got = await self._poll(IDLE_S if wait is None else min(wait, IDLE_S))
            for record in got:
                read, error = _read(record)
                if error:
                    await self._letters.send(error.code, error.reason, record)
                planner.add(read, time.monotonic())
            if not got and wait is None:
                break
        if planner.wait(time.monotonic()) is None and not catalogues:
            return None
        return await self._write(planner, catalogues)

    async def _write(self, planner: Planner, catalogues: tuple[str, ...]) -> Window:
        ranges, reads = planner.cut()
        read = [one.example for one in reads if one.example]
        verdict = await asyncio.to_thread(self._judge, read, time.time())
        failpoint("plan")
        plan = await self._log.write(ranges, catalogues, self._turn(), verdict)
        failpoint("planned")
        self._log.plans.forget(self._saved())
        return Window(plan, read, self._log.plans.next_offset)

    async def _poll(self, seconds: float) -> list[Any]:
        """A few records: first those that a replay fetched too many of."""
        ahead = [waiting.popleft() for waiting in self._ahead.values() for _ in range(len(waiting))]
        if ahead:
            return ahead
        try:
            fetched = await self._consumer.getmany(timeout_ms=max(1, int(seconds * 1000)), max_records=POLL)
        except OffsetOutOfRangeError as error:
            raise FreshetError(f"{self._topic}: {error}: {EXPIRED}") from error
        self._note(fetched)
        return [record for records in fetched.values() for record in records]

    def _note(self, fetched: Mapping[TopicPartition, list[Any]]) -> None:
        self._last |= {at: (records[-1].offset, records[-1].timestamp / 1000) for at, records in fetched.items() if records}

    def _age(self, partition: TopicPartition) -> float:
        """Of the last record read, where a newer one waits: asked when metrics are, so that it grows while nothing is read."""
        offset, written = self._last.get(partition, (-1, time.time()))
        behind = offset + 1 < (self._consumer.highwater(partition) or 0)
        return time.time() - written if behind else 0.0


def _read(record: Any) -> tuple[Read, BadRecord | None]:
    try:
        return Read(record.partition, record.offset, decoded(_examples.decode, record.value)), None
    except BadRecord as error:
        return Read(record.partition, record.offset, None), error


class Bridge:
    """The windows as a plain iterator for the learning thread, while the event loop goes on in its own."""

    def __init__(self, windows: KafkaWindows, loop: asyncio.AbstractEventLoop) -> None:
        self._windows, self._loop = windows, loop

    def __iter__(self) -> "Bridge":
        return self

    def __next__(self) -> Window | None:
        try:
            return asyncio.run_coroutine_threadsafe(self._windows.next(), self._loop).result()
        except StopAsyncIteration:
            raise StopIteration from None
