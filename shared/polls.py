"""Faust's consumer as Freshet needs it: a poll of a partition comes whole, and reading begins exactly where it is told to."""

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import faust
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy

import shared.kafka  # noqa: F401 (its connections mend aiokafka's)

if TYPE_CHECKING:
    from shared.stream import App

FETCH_WAIT_MS = 50
"""How long the broker may hold a fetch that finds nothing. A partition that was being read joins the next fetch only: Faust's own
1,500 ms would be its delay."""
QUIET = logging.getLogger("faust.stream")
"""Where Faust's parts report each start and stop; ``shared.telemetry`` lets warnings through."""


class Start(NamedTuple):
    """Where reading of a partition begins: the offset, and the metadata that was committed with it."""

    offset: int
    metadata: str = ""

    def within(self, first: int, end: int) -> "Start":
        """The same, kept within a log that holds [first, end): older records are gone, and a commit beyond the end is of a topic
        that was made anew."""
        return Start(first) if self.offset > end else Start(max(first, self.offset), self.metadata)


Starts = Mapping[TopicPartition, Start]


class Batch:
    """One poll of one partition, dressed as the single record that Faust expects; ``value`` is the list of records."""

    headers, key, checksum, serialized_key_size, serialized_value_size = (), None, None, 0, 0

    def __init__(self, records: list[ConsumerRecord]) -> None:
        last = records[-1]
        self.topic, self.partition, self.offset = last.topic, last.partition, last.offset
        self.timestamp, self.timestamp_type, self.value = last.timestamp, last.timestamp_type, records


class OnePerPoll(DefaultSchedulingStrategy):
    """Delivers each poll of a partition whole."""

    def iterate(self, records: Mapping[Any, list[ConsumerRecord]]) -> Iterator[tuple[Any, Batch]]:
        for tp, polled in records.items():
            yield tp, Batch(polled)


class Undecoded(faust.Schema[Any, Any]):
    """Passes the records on as they are."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        return message.value


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer, with a fetch that does not keep partitions waiting."""

    logger = QUIET

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def on_thread_stop(self) -> None:
        """Leave the group before the connection closes, so that others have the partitions at once.

        aiokafka leaves for members without a fixed name alone; the broker takes a leave from any member that says its id.
        """
        if self._consumer is not None:
            self._consumer._coordinator._group_instance_id = None
        await super().on_thread_stop()

    async def begin(self, wanted: "Starts") -> "Starts":
        """Seek to these offsets, kept within what the log holds; returns where reading begins.

        aiokafka's own seek leaves a partition without a commit where it was, behind what was fetched while Faust rebalanced.
        """
        consumer = self._ensure_consumer()
        first, end = await consumer.beginning_offsets(list(wanted)), await consumer.end_offsets(list(wanted))
        starts = {tp: start.within(first[tp], end[tp]) for tp, start in wanted.items()}
        for tp, start in starts.items():
            consumer.seek(tp, start.offset)
        return starts


class Consumer(driver.Consumer):
    """Faust's consumer, which begins where the app says and never behind what was fetched while Faust rebalanced."""

    logger = QUIET

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        app = cast("App", self.app)
        thread = cast(ConsumerThread, self._thread)
        async with app.seeking:
            rebalance = app.rebalancing_count
            try:
                starts = await app.start_offsets([TopicPartition(*tp) for tp in self.assignment()])
                if starts and rebalance == app.rebalancing_count:
                    starts = await thread.call_thread(thread.begin, starts)
            except Exception as error:
                if rebalance == app.rebalancing_count and not app.should_stop:  # no later seek would repair this one
                    await app.crash(error)
                raise
            if rebalance == app.rebalancing_count:
                app.sought = True
                self._read_offset.update({faust.types.TP(*tp): start.offset for tp, start in starts.items()})
                app.began(starts)


class Transport(driver.Transport):
    """Faust's transport with the consumer above."""

    Consumer = Consumer
