"""What was shown, on its way to Kafka: never in the way of an answer."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from services.ranking import metrics
from shared.errors import KafkaUnavailable
from shared.messages import Impression

Send = Callable[[bytes, bytes], Awaitable[asyncio.Future[object]]]
"""Hands a record (key, value) to a producer; the future is done once the record is acknowledged."""


class ImpressionLog:
    """A bounded buffer in front of a producer.

    At most ``capacity`` impressions of ``largest`` bytes together are unacknowledged, waiting or sent; further ones are dropped and
    counted.
    """

    def __init__(self, send: Send, capacity: int, largest: int) -> None:
        self._send, self._capacity, self._largest = send, capacity, largest
        self._queue: asyncio.Queue[tuple[bytes, bytes, asyncio.Future[None]]] = asyncio.Queue()
        self._open = self._bytes = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._encoder = msgspec.msgpack.Encoder()

    @property
    def waiting(self) -> int:
        """How many Kafka has not acknowledged."""
        return self._open

    def put(self, impression: Impression) -> asyncio.Future[None] | None:
        """Take it; the future is done once Kafka has it, and fails where Kafka refuses. ``None``: dropped."""
        value = self._encoder.encode(impression)
        if self._open >= self._capacity or self._bytes + len(value) > self._largest:
            metrics.impressions.labels("dropped").inc()
            return None
        self._open += 1
        self._bytes += len(value)
        self._empty.clear()
        metrics.impressions_waiting.set(self._open)
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        settled.add_done_callback(partial(self._settled, len(value)))
        self._queue.put_nowait((impression.user_id.encode(), value, settled))
        return settled

    async def deliver(self) -> None:
        """For ever: hand what waits to the producer, in order."""
        while True:
            key, value, settled = await self._queue.get()
            try:
                sent = await self._send(key, value)
            except KafkaUnavailable as error:
                settled.set_exception(error)
                continue
            sent.add_done_callback(lambda done, settled=settled: _pass_on(done, settled))  # type: ignore[misc]

    async def drained(self, seconds: float) -> bool:
        """Wait until all is acknowledged, for at most so long; whether it is."""
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def _settled(self, size: int, settled: asyncio.Future[None]) -> None:
        self._open -= 1
        self._bytes -= size
        if not self._open:
            self._empty.set()
        metrics.impressions_waiting.set(self._open)
        failed = settled.cancelled() or settled.exception() is not None
        metrics.impressions.labels("failed" if failed else "acknowledged").inc()


def _pass_on(sent: asyncio.Future[object], settled: asyncio.Future[None]) -> None:
    if settled.done():
        return
    if sent.cancelled() or (error := sent.exception()) is not None:
        settled.set_exception(KafkaUnavailable(f"Kafka did not take an impression: {None if sent.cancelled() else error}"))
    else:
        settled.set_result(None)
