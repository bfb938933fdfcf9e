"""New items are encoded while others keep coming, and no more at once than may be lost."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
import structlog
from aiokafka import TopicPartition

from services.updater.learning.catalogue import build
from services.updater.texts import newcomers
from services.updater.texts.newcomers import Newcomers
from services.updater.texts.vectors import INSTALLED
from shared.bundles.files import decode_catalogue
from shared.bundles.objects import MemoryObjects
from shared.bundles.storage import Storage
from shared.errors import BadSettings
from shared.messages import Item
from tests import learning

AT = TopicPartition("items", 0)


def an_item(number: int) -> tuple[bytes, bytes]:
    item = Item(item_id=f"n{number}", time=learning.EPOCH, title="tea")
    return item.item_id.encode(), msgspec.json.encode(item)


class Catalogue:
    """A topic with new items in it; then the same ones are written again with every poll."""

    def __init__(self, new: int) -> None:
        self._new, self._next = new, 0

    def assign(self, partitions: Iterable[TopicPartition]) -> None: ...

    async def seek_to_beginning(self) -> None: ...

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {AT: self._new}

    async def position(self, at: TopicPartition) -> int:
        return self._next

    async def getmany(self, **_: Any) -> Mapping[TopicPartition, list[Any]]:
        await asyncio.sleep(0.01)
        key, value = an_item(self._next % self._new)
        record = SimpleNamespace(key=key, value=value, offset=self._next)
        self._next += 1
        return {AT: [record]}


class Texts:
    encoder = INSTALLED

    def ensure(self, texts: Iterable[str]) -> dict[str, Any]:
        return {text: np.full(learning.TEXT, 1, np.float16) for text in texts}


async def test_items_are_encoded_in_handy_parts_although_more_keep_coming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "ENCODED_AT_ONCE", 3)
    storage: Any = Storage(MemoryObjects(), "ranking")
    kafka, texts = Catalogue(5), Texts()
    log: Any = structlog.stdlib.get_logger()
    follower = Newcomers(kafka, 1, learning.assortment(), texts, storage, learning.TEXT, 0.1, log)  # type: ignore[arg-type]
    following = asyncio.create_task(follower.follow())
    files: list[str] = []
    deadline = time.monotonic() + 10
    while len(files) < 2 and time.monotonic() < deadline:
        files += follower.take()
        await asyncio.sleep(0.01)
    following.cancel()
    assert [joined(storage, key) for key in files] == [3, 2]


def test_another_encoder_than_the_bases_is_refused_before_its_vectors_mix() -> None:
    known = learning.assortment()
    known.add(build([], {}, learning.TEXT, encoder="another"))
    log: Any = structlog.stdlib.get_logger()
    with pytest.raises(BadSettings, match="learned with the vectors of another, and FRESHET_UPDATER_ENCODER is all-MiniLM"):
        Newcomers(Catalogue(1), 1, known, Texts(), None, learning.TEXT, 0.1, log)  # type: ignore[arg-type]


def joined(storage: Storage, key: str) -> int:
    """How many items a catalogue file brings."""
    found = storage.objects.read(key)
    assert found is not None
    return len(decode_catalogue(found.data).ids)
