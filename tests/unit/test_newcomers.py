"""Items whose newest line says something new are encoded while others keep coming, and no more at once than may be lost."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
import structlog
from aiokafka import TopicPartition
from msgspec.structs import replace
from numpy.typing import NDArray

from services.updater.learning.catalogue import Assortment, build
from services.updater.texts import newcomers
from services.updater.texts.newcomers import Newcomers
from services.updater.texts.vectors import INSTALLED
from shared.bundles.files import Catalogue, decode_catalogue
from shared.bundles.objects import MemoryObjects
from shared.bundles.reader import BundleReader
from shared.bundles.storage import Storage
from shared.errors import BadSettings, StorageUnavailable
from shared.keys import key
from shared.messages import Item
from tests import learning
from tests.bundles import a_key
from tests.unit.test_updater_releases import a_life, served

AT = TopicPartition("items", 0)
TEA = Item(item_id="tea", time=learning.EPOCH, title="green tea", category="drinks", brand="leaf", price=3.5)


def vector_of(title: str) -> NDArray[np.float16]:
    seed = int.from_bytes(hashlib.sha256(title.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).normal(size=learning.TEXT).astype(np.float16)


def told(title: str, known: Assortment) -> NDArray[np.float16]:
    """A title's vector as a catalogue says it beside those that are known; zeros for none."""
    rest = vector_of(title) - known.centre
    return (rest / np.linalg.norm(rest) if title else 0 * rest).astype(np.float16)


def knowing(*items: Item) -> Assortment:
    """What the learner knows after a catalogue of these."""
    known = Assortment(learning.TEXT)
    known.add(build(items, {item.title: vector_of(item.title) for item in items if item.title}, learning.TEXT))
    return known


class Topic:
    """One partition; more lines may be written at any time, and ``None`` takes an item off."""

    def __init__(self, *lines: Item | tuple[str, None]) -> None:
        self.lines, self._next = list(lines), 0

    def assign(self, partitions: Iterable[TopicPartition]) -> None: ...

    async def seek_to_beginning(self) -> None: ...

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {AT: len(self.lines)}

    async def position(self, at: TopicPartition) -> int:
        return self._next

    async def getmany(self, **_: Any) -> Mapping[TopicPartition, list[Any]]:
        """One line a call, as slow as a topic is that has many."""
        await asyncio.sleep(0.01)
        return {AT: [self._record()]} if self._next < len(self.lines) else {}

    def _record(self) -> Any:
        line = self.lines[self._next]
        self._next += 1
        if isinstance(line, tuple):
            return SimpleNamespace(key=line[0].encode(), value=None)
        return SimpleNamespace(key=line.item_id.encode(), value=msgspec.json.encode(line))


class Busy(Topic):
    """Whose lines are written again with every poll."""

    def _record(self) -> Any:
        self.lines.append(self.lines[self._next])
        return super()._record()


@dataclass
class Texts:
    """The vectors that are here; those of any other title are in the storage, or are made."""

    here: dict[str, NDArray[np.float16]] = field(default_factory=dict)
    away: bool = False
    encoder = INSTALLED

    def pull(self) -> None:
        if self.away:
            raise StorageUnavailable("away")

    def refresh(self) -> None: ...

    def vector(self, text: str) -> NDArray[np.float16] | None:
        return self.here.get(text)

    def ensure(self, texts: Iterable[str]) -> dict[str, NDArray[np.float16]]:
        wanted = {text: vector_of(text) for text in texts if text}
        self.here |= wanted
        return wanted


@dataclass
class Followed:
    """A follower at work."""

    newcomers: Newcomers
    storage: Storage

    async def files(self, count: int, seconds: float = 10.0) -> list[str]:
        """Its next files; fewer where they do not come in time."""
        found, deadline = list[str](), time.monotonic() + seconds
        while len(found) < count and time.monotonic() < deadline:
            found += self.newcomers.take()
            await asyncio.sleep(0.01)
        return found

    def catalogue(self, name: str) -> Catalogue:
        found = self.storage.objects.read(name)
        assert found is not None
        return decode_catalogue(found.data)


@asynccontextmanager
async def following(
    topic: Topic, assortment: Assortment, texts: Texts | None = None, storage: Storage | None = None
) -> AsyncIterator[Followed]:
    """Follows the topic; the titles that the assortment may know have their vectors here."""
    storage = storage or Storage(MemoryObjects(), "ranking")
    texts = texts or Texts({title: vector_of(title) for title in (TEA.title, "black tea", "tea")})
    made: Any = (topic, 1, assortment, texts, storage, learning.TEXT, 0.05, structlog.stdlib.get_logger())
    follower = Newcomers(*made)
    task = asyncio.create_task(follower.follow())
    try:
        yield Followed(follower, storage)
    finally:
        task.cancel()


async def test_items_are_encoded_in_handy_parts_although_more_keep_coming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "ENCODED_AT_ONCE", 3)
    topic = Busy(*(replace(TEA, item_id=f"n{number}") for number in range(5)))
    async with following(topic, knowing()) as followed:
        assert [len(followed.catalogue(name).ids) for name in await followed.files(2)] == [3, 2]
        assert await followed.files(1, 0.3) == []


@pytest.mark.parametrize(
    ("change", "is_news"),
    [
        ({}, False),
        ({"price": 9.0, "stock": 0.0, "boost": 2.0}, False),
        ({"title": "black tea"}, True),
        ({"title": "never seen before"}, True),
        ({"title": ""}, True),
        ({"category": "herbs"}, True),
        ({"brand": None}, True),
    ],
)
async def test_a_known_item_is_told_anew_where_its_title_category_or_brand_is(change: dict[str, Any], is_news: bool) -> None:
    known, line = knowing(TEA), replace(TEA, **change)
    async with following(Topic(TEA, line), known) as followed:
        files = await followed.files(1, 10.0 if is_news else 0.3)
        assert len(files) == is_news
        for name in files:
            known.add(followed.catalogue(name))
    category, brand, text = known.describe(np.array([key("tea")], np.uint64))
    assert (category[0], brand[0]) == (key(line.category or ""), key(line.brand or ""))
    assert np.allclose(known.vectors(text)[0], told(line.title, known), atol=1e-3)


async def test_a_title_that_comes_after_the_item_reaches_the_learner() -> None:
    known = knowing(replace(TEA, title=""))
    async with following(Topic(TEA), known) as followed:
        [name] = await followed.files(1)
        known.add(followed.catalogue(name))
    assert np.allclose(known.vectors(known.describe(np.array([key("tea")], np.uint64))[2])[0], told(TEA.title, known), atol=1e-3)


async def test_of_an_items_lines_the_newest_counts_wherever_the_learner_stands() -> None:
    old, new = replace(TEA, title="tea"), replace(TEA, title="black tea")
    async with following(Topic(old, TEA), knowing(TEA)) as followed:
        assert await followed.files(1, 0.3) == []
    known = knowing(TEA)
    async with following(Topic(TEA, old, new), known) as followed:
        [name] = await followed.files(1)
        assert np.allclose(followed.catalogue(name).vectors, told(new.title, known), atol=1e-3)
        assert await followed.files(1, 0.3) == []
    async with following(Topic(TEA, new, ("tea", None)), knowing(TEA)) as followed:
        assert await followed.files(1, 0.3) == []


async def test_a_title_that_goes_to_and_fro_is_served_as_it_was_last_said() -> None:
    storage, titles = Storage(MemoryObjects(), "ranking"), ("black tea", "green tea", "black tea", "green tea")
    life, topic = a_life(storage), Topic()
    known = life.student.batcher.assortment
    async with following(topic, known, storage=storage) as followed:
        files = []
        for title in titles:
            topic.lines.append(replace(TEA, title=title, category="c0", brand="b0"))
            files += await followed.files(1)
        assert len(set(files)) == len(titles)
        for number, (title, name) in enumerate(zip(titles, files, strict=True), 1):
            pointer = await asyncio.to_thread(served, storage, life, number, name)
            scorer = BundleReader(storage, a_key().public_key()).load(pointer)
            text = scorer.sides.attributes[scorer.tables["item"].find_one(key("tea")), 2]
            assert np.allclose(scorer.texts.vectors[text], told(title, known), atol=1e-3)
        assert await followed.files(1, 0.3) == []
    life.releases.close()


@pytest.mark.parametrize("away", [False, True])
async def test_a_machine_without_the_vectors_tells_nothing_anew_that_is_known(away: bool) -> None:
    other, texts = replace(TEA, item_id="other", title="black tea"), Texts(away=away)
    async with following(Topic(TEA, other), knowing(TEA, other), texts) as followed:
        assert await followed.files(1, 0.5) == []
    assert texts.here.keys() == {TEA.title, "black tea"}


def test_another_encoder_than_the_bases_is_refused_before_its_vectors_mix() -> None:
    known = learning.assortment()
    known.add(build([], {}, learning.TEXT, encoder="another"))
    made: Any = (Topic(), 1, known, Texts(), None, learning.TEXT, 0.1, structlog.stdlib.get_logger())
    with pytest.raises(BadSettings, match="learned with the vectors of another, and FRESHET_UPDATER_ENCODER is all-MiniLM"):
        Newcomers(*made)
