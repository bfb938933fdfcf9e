"""The flush: everything folded since the last one goes out as one, or the process ends and reads it again."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.features import metrics
from services.features.by_item import Passed
from services.features.cache import Cache, Snapshot
from services.features.markers import Markers, Place
from shared.dead_letters import DeadLetters
from shared.decoding import Record
from shared.errors import Fenced, KafkaUnavailable
from shared.failpoints import failpoint
from shared.features.writer import RowWriter
from shared.topics import BEHAVIOUR_BY_ITEM


@dataclass
class Pending:
    """What was decided together and has to go out together."""

    records: list[Passed] = field(default_factory=list)
    """For ``behaviour-by-item``, with their partitions, in order."""
    letters: list[tuple[str, str, Record]] = field(default_factory=list)
    positions: dict[Place, int] = field(default_factory=dict)
    """The next offset of each source partition."""


class Flush:
    """Writes behind, in an order that makes a kill at any moment harmless.

    A snapshot is taken without an await: dirty rows, records to send, positions. Then: Kafka has acknowledged the records; the rows
    are in the store; the markers move. Whoever reads a row of version v may therefore skip what is below v: its records are out.
    """

    def __init__(
        self, caches: Sequence[Cache], markers: Markers, writer: RowWriter, producer: AIOKafkaProducer, letters: DeadLetters
    ) -> None:
        self.pending = Pending()
        self._caches, self._markers, self._writer = caches, markers, writer
        self._producer, self._letters = producer, letters
        self._turn, self._broken = asyncio.Lock(), False

    async def __call__(self) -> dict[Place, int]:
        """Flush; returns the positions that the store now contains.

        Raises:
            Fenced: a marker was not as we left it.
            KafkaUnavailable: not all records were acknowledged.
        """
        async with self._turn:
            if self._broken:
                raise Fenced("an earlier flush failed; all is read again from the markers")
            self._broken = True  # what a failed flush had taken is gone: no later one may move a marker past it
            began = time.perf_counter()
            pending, self.pending = self.pending, Pending()
            snapshots = [(cache, cache.snapshot()) for cache in self._caches]
            failpoint("features.flush.snapshot")
            await self._send(pending)
            failpoint("features.flush.sent")
            for cache, snapshot in snapshots:
                await self._write(cache, snapshot)
            failpoint("features.flush.written")
            await self._markers.advance(pending.positions)
            failpoint("features.flush.marked")
            if pending.positions:
                metrics.flush_seconds.observe(time.perf_counter() - began)
            self._broken = False
            return pending.positions

    def drop(self) -> None:
        """Forget what was not flushed; it will be read again."""
        self.pending = Pending()

    async def _send(self, pending: Pending) -> None:
        try:
            sent = [await self._producer.send(BEHAVIOUR_BY_ITEM, value, partition=to) for to, value in pending.records]
            await asyncio.gather(*sent)
        except KafkaError as error:
            raise KafkaUnavailable(f"Kafka did not acknowledge the items' events: {error!r}") from error
        await asyncio.gather(*(self._letters.send(reason, detail, record) for reason, detail, record in pending.letters))

    async def _write(self, cache: Cache, snapshot: Snapshot) -> None:
        if snapshot.names:
            plan = snapshot.view.plan
            written = await self._writer.write_async(plan.keys(snapshot.names), snapshot.values, plan.ttl)
            failpoint(f"features.flush.{plan.view}")
            metrics.written.labels(plan.view).inc(written)
            metrics.superseded.labels(plan.view).inc(len(snapshot.names) - written)
        cache.written(snapshot)
