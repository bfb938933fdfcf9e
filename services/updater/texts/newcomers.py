"""Items that the learner does not know: read from ``items``, encoded together in a short process, joined by the next plan."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from itertools import islice

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from structlog.stdlib import BoundLogger

from services.updater import exported
from services.updater.learning.catalogue import Assortment, build
from services.updater.texts.vectors import TextCache
from shared.bundles.files import encode_catalogue
from shared.bundles.storage import Storage
from shared.decoding import decoded
from shared.errors import BadRecord, BadSettings, FreshetError
from shared.keys import key
from shared.messages import Item

ENCODED_AT_ONCE = 2_000
"""Items in one catalogue file at most: what a kill in the middle of encoding can cost."""

_items = msgspec.json.Decoder(Item)


class Newcomers:
    """Follows the catalogue beside the loop; the loop takes the files that are ready.

    Raises:
        BadSettings: the texts known so far were encoded by another encoder.
    """

    def __init__(
        self, consumer: AIOKafkaConsumer, partitions: int, assortment: Assortment, texts: TextCache, storage: Storage,
        text_dim: int,
        wait_s: float, log: BoundLogger,
    ) -> None:  # fmt: skip
        if assortment.encoder not in ("", texts.encoder):
            raise BadSettings(
                f"the base was learned with the vectors of {assortment.encoder}, and FRESHET_UPDATER_ENCODER is {texts.encoder}: "
                "import history anew, into another bucket, or set it back"
            )
        self._consumer, self._assortment, self._texts, self._storage = consumer, assortment, texts, storage
        self._partitions = [TopicPartition(Item.topic, partition) for partition in range(partitions)]
        self._text_dim, self._wait_s, self._log = text_dim, wait_s, log
        self._waiting: dict[str, Item] = {}
        self._on_their_way: set[int] = set()
        self._ready: deque[str] = deque()

    def take(self) -> tuple[str, ...]:
        """Storage keys of the catalogue files that wait for a plan."""
        ready = tuple(self._ready)
        self._ready.clear()
        return ready

    async def follow(self) -> None:
        """Read the catalogue from its beginning, for as long as the process lives."""
        self._consumer.assign(self._partitions)
        await self._consumer.seek_to_beginning()
        ends = await self._consumer.end_offsets(self._partitions)
        since = time.monotonic()
        while True:
            fetched = await self._consumer.getmany(timeout_ms=500, max_records=ENCODED_AT_ONCE)
            for records in fetched.values():
                for record in records:
                    self._see(record.key, record.value)
            ends = {at: end for at, end in ends.items() if await self._consumer.position(at) < end}
            if not self._waiting:
                since = time.monotonic()
            elif time.monotonic() - since >= self._wait_s and not ends:
                await self._encode(dict(islice(self._waiting.items(), ENCODED_AT_ONCE)))

    def _see(self, item_id: bytes | None, value: bytes | None) -> None:
        """Note an item that is new; one that is known costs no decoding."""
        number = key((item_id or b"").decode(errors="replace"))
        if number in self._assortment or number in self._on_their_way or value is None:
            return
        try:
            item = decoded(_items.decode, value)
        except BadRecord:
            exported.skipped.labels("undecodable_item").inc()
            return
        self._waiting[item.item_id] = item

    async def _encode(self, items: Mapping[str, Item]) -> None:
        try:
            stored = await asyncio.to_thread(self._store, items)
        except FreshetError as error:
            self._log.error("new items wait", items=len(items), reason=str(error))
            await asyncio.sleep(self._wait_s)
            return
        self._on_their_way |= {key(item) for item in items}
        self._waiting = {item: line for item, line in self._waiting.items() if item not in items}
        self._ready.append(stored)
        exported.encoded.inc(len(items))
        self._log.info("new items encoded", items=len(items), catalogue=stored)

    def _store(self, items: Mapping[str, Item]) -> str:
        vectors = self._texts.ensure(item.title for item in items.values())
        catalogue = build(items.values(), vectors, self._text_dim, self._texts.encoder)
        return self._storage.put_blob(encode_catalogue(catalogue)).key(self._storage.task)
