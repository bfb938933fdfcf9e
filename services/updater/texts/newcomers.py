"""Items that the learner does not know, or not as their newest line says: read from ``items``, encoded together, joined by a plan.

An item is news where it, its category, brand or title is; prices and stock, which change often, reach the model as features. Of an
item's lines the last counts, so that nothing is encoded before the topic was read up to where it ended at the start.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
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
from shared.errors import BadRecord, BadSettings, FreshetError, Unavailable
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
        self._encoded: dict[int, int] = {}
        """Item → what this life's last file with it says, as :func:`said`; the file may still be on its way to the assortment."""
        self._ready: deque[str] = deque()

    def take(self) -> tuple[str, ...]:
        """Storage keys of the catalogue files that wait for a plan."""
        ready = tuple(self._ready)
        self._ready.clear()
        return ready

    async def follow(self) -> None:
        """Read the catalogue from its beginning, for as long as the process lives."""
        await asyncio.to_thread(self._read_texts)
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
                await self._encode(list(islice(self._waiting.values(), ENCODED_AT_ONCE)))

    def _read_texts(self) -> None:
        """Have the vectors that known titles are compared by."""
        try:
            self._texts.pull()
        except Unavailable as error:
            self._log.warning("text vectors are fetched when items need them", reason=str(error))
        self._texts.refresh()

    def _see(self, item_id: bytes | None, value: bytes | None) -> None:
        """Take the topic's next line: its item waits where it is news, and waits no longer where it is not, or not for sale."""
        if value is None:
            self._waiting.pop((item_id or b"").decode(errors="replace"), None)
            return
        try:
            item = decoded(_items.decode, value)
        except BadRecord:
            exported.skipped.labels("undecodable_item").inc()
            return
        if self._is_news(item):
            self._waiting[item.item_id] = item
        else:
            self._waiting.pop(item.item_id, None)

    def _is_news(self, item: Item) -> bool:
        before = self._encoded.get(key(item.item_id))
        if before is not None:
            return before != said(item)
        return not self._assortment.says(item, self._texts.vector(item.title))

    async def _encode(self, items: Sequence[Item]) -> None:
        try:
            news, stored = await asyncio.to_thread(self._store, items)
        except FreshetError as error:
            self._log.error("items wait", items=len(items), reason=str(error))
            await asyncio.sleep(self._wait_s)
            return
        for item in items:
            del self._waiting[item.item_id]
        if not news:
            return
        self._encoded |= {key(item.item_id): said(item) for item in news}
        self._ready.append(stored)
        exported.encoded.inc(len(news))
        self._log.info("items encoded", items=len(news), catalogue=stored)

    def _store(self, items: Sequence[Item]) -> tuple[list[Item], str]:
        """Which are still news once each title has its vector, and the storage key of their catalogue; empty where none is."""
        vectors = self._texts.ensure(item.title for item in items)
        news = [item for item in items if self._is_news(item)]
        if not news:
            return [], ""
        catalogue = build(news, vectors, self._text_dim, self._texts.encoder, self._assortment.centre)
        stored = encode_catalogue(replace(catalogue, made=time.time()))
        return news, self._storage.put_blob(stored).key(self._storage.task)


def said(item: Item) -> int:
    """One number, in this process alone, for what the model reads of a line: category, brand and title."""
    return hash((item.category or "", item.brand or "", item.title))
