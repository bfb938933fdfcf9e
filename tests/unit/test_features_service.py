"""The features service's folds, fed without Kafka; a dictionary stands for Valkey."""

import asyncio
import errno
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.features import metrics
from services.features.app import FeaturesApp
from services.features.by_item import LARGEST, most_events, pack, unpack
from services.features.cache import Cache
from services.features.catalogue import Catalogue
from services.features.flush import Flush
from services.features.gathered import Gathered
from services.features.history import History
from services.features.items import Items, _first_time
from services.features.users import Users
from shared.errors import Fenced
from shared.features.counters import Counters
from shared.features.plan import Field
from shared.kafka import partition_for
from shared.messages import Behaviour, Item
from tests.features import START, at, event, plans

PLANS = plans()
PARTITIONS = 4
ANN = partition_for("ann", PARTITIONS)
ONE = (np.zeros(1, np.int64).tobytes(), np.zeros(1, np.int64).tobytes(), np.zeros(1).tobytes(), np.ones(1).tobytes())
"""The columns of one event in a packed record."""


@dataclass(frozen=True)
class Arrived:
    """A record as Kafka hands it over."""

    value: bytes
    offset: int
    partition: int = ANN
    topic: str = "behaviour"
    key: bytes = b""
    timestamp: float = START * 1e3 + 1e9


class Shelf:
    """Valkey's MGET on a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.asked = 0

    async def mget(self, names: Sequence[bytes]) -> list[bytes | None]:
        self.asked += len(names)
        return [self.rows.get(name) for name in names]

    def put(self, cache: Cache) -> None:
        """Flush a cache into it."""
        snapshot = cache.snapshot()
        self.rows |= dict(zip(cache.view.plan.keys(snapshot.names), snapshot.values, strict=True))
        cache.written(snapshot)


def arrived(*events: Behaviour, first: int = 0) -> list[Arrived]:
    return [Arrived(msgspec.json.encode(one), first + n) for n, one in enumerate(events)]


def users(shelf: Shelf, capacity: int = 64) -> Users:
    return Users(PLANS.user, shelf, capacity, partitions=PARTITIONS, per_minute=0)


async def count(side: Users, records: list[Arrived]) -> list[tuple[int, bytes]]:
    read = side.decode(records)
    assert await side.cache.touch(read.names)
    return side.apply(read)


async def test_a_second_delivery_changes_nothing_and_sends_nothing() -> None:
    shelf, records = Shelf(), arrived(event(1), event(2), event(3))
    one = users(shelf)
    assert len(await count(one, records)) > 0
    shelf.put(one.cache)
    again = users(shelf)
    assert await count(again, records) == []
    assert not again.cache.dirty.any()
    assert await count(again, arrived(event(4), first=3))


async def test_a_robots_events_count_for_itself_alone_and_a_second_delivery_decides_nothing_anew() -> None:
    shelf, records = Shelf(), arrived(*(event(n, action="click", time=START + n) for n in range(60)))
    side = Users(PLANS.user, shelf, 64, partitions=PARTITIONS, per_minute=0, usual=0.3)
    passed = await count(side, records)
    assert sum(len(unpack(Arrived(value, 0, to), PARTITIONS).items) for to, value in passed) == 39
    row = side.cache.arena.words[side.cache.arena.index["ann"]]
    assert row[PLANS.user.plan.column("user_clicks_7d")] > 59
    shelf.put(side.cache)
    again = Users(PLANS.user, shelf, 64, partitions=PARTITIONS, per_minute=0, usual=0.3)
    assert await count(again, records) == []
    assert await count(again, arrived(event(60, action="view", time=START + 61), first=60)) == []


async def test_what_comes_too_fast_is_in_no_counter_and_is_told() -> None:
    before = metrics.excluded.labels("too_fast")._value.get()
    clicks = [event(n, action="click", time=START) for n in range(50)]
    limited = Users(PLANS.user, Shelf(), 64, partitions=PARTITIONS, per_minute=20)
    slow = users(Shelf())
    assert await count(limited, arrived(*clicks)) == await count(slow, arrived(*clicks[:20]))
    column = PLANS.user.plan.column("user_clicks_7d")
    assert limited.cache.arena.words[limited.cache.arena.index["ann"]][column] > 0
    assert limited.cache.arena.words[:, column].tolist() == slow.cache.arena.words[:, column].tolist()
    assert metrics.excluded.labels("too_fast")._value.get() - before == 30


async def test_a_user_on_the_wrong_partition_is_set_apart_even_while_in_memory() -> None:
    side = users(Shelf())
    await count(side, arrived(event(1)))
    read = side.decode([Arrived(msgspec.json.encode(event(2)), 0, (ANN + 1) % PARTITIONS)])
    assert [reason for reason, *_ in read.letters] == ["misrouted"]
    assert read.deliveries == []


async def test_a_time_far_ahead_of_the_broker_s_counts_as_the_broker_s() -> None:
    side = users(Shelf())
    await count(side, arrived(event(1, time="2999-01-01T00:00:00Z")))
    plan, words = PLANS.user.plan, side.cache.arena.words.view(np.int64)
    row = side.cache.arena.index["ann"]
    assert words[row, plan.column("user_last")] == round((START + 1e6 + 60) * 1e6)


async def test_a_row_of_a_newer_plan_stops_the_worker() -> None:
    shelf = Shelf()
    newer = msgspec.structs.replace(PLANS.user.plan, fields=(*PLANS.user.plan.fields, Field("new", "<f8")))
    shelf.rows[newer.key("ann")] = newer.default
    with pytest.raises(Fenced, match="newer plan"):
        await users(shelf).cache.touch(["ann"])


async def test_only_clean_rows_give_way_and_come_back_as_they_were() -> None:
    shelf = Shelf()
    cache = users(shelf, capacity=8).cache
    assert await cache.touch([f"u{n}" for n in range(8)])
    cache.change(cache.arena.rows(["u0", "u1"]))
    assert await cache.touch(["other", "u2"])
    assert {"u0", "u1", "u2", "other"} <= cache.arena.index.keys()
    cache.change(cache.arena.rows(list(cache.arena.index)))
    assert not await cache.touch([f"v{n}" for n in range(8)]), "all are dirty: flush first"
    shelf.put(cache)
    assert await cache.touch([f"v{n}" for n in range(8)])


events = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=40)


@settings(max_examples=100)
@given(events)
def test_a_fence_lets_each_offset_of_a_source_pass_once(deliveries: list[tuple[int, int]]) -> None:
    cells = np.array([cell for cell, _ in deliveries], np.int64)
    offsets = np.array([offset for _, offset in deliveries], np.int64)
    fence = np.full(len(cells), 3, np.int64)
    highest: dict[int, int] = {}
    expected = []
    for cell, offset in deliveries:
        expected.append(offset > highest.get(cell, 2))
        highest[cell] = max(offset, highest.get(cell, 2))
    assert _first_time(cells, offsets, fence).tolist() == expected


def test_packed_records_hold_every_event_once_in_order_of_one_source_and_on_its_item_s_partition() -> None:
    batch = at([event(n, item_id=f"i{n % 5}", price=float(n)) for n in range(50)], range(50))
    sources = np.arange(50) % 2
    found: dict[tuple[str, int], list[float]] = {}
    for partition, value in pack(sources, np.arange(100, 150), batch, PARTITIONS):
        packed = unpack(Arrived(value, 0, partition), PARTITIONS)
        read, offsets = packed.events()
        assert {partition_for(item, PARTITIONS) for item in read.item} == {partition}
        assert (offsets == read.price + 100).all()
        for item, price in zip(read.item, read.price.tolist(), strict=True):
            found.setdefault((item, packed.source), []).append(price)
    assert found == {(f"i{k}", s): [float(n) for n in range(k, 50, 5) if n % 2 == s] for k in range(5) for s in range(2)}


def test_what_was_gathered_comes_in_parts_that_fit_and_in_order() -> None:
    gathered = Gathered(lambda record: len(record.value or b""))
    sizes = [LARGEST // 2, LARGEST // 2, 1, LARGEST + 5, 3]
    gathered.add([Arrived(b"x" * size, n) for n, size in enumerate(sizes)])
    assert gathered.full
    assert [[record.offset for record in part] for part in gathered.take()] == [[0, 1], [2], [3], [4]]
    assert not gathered.full
    assert gathered.take() == []


def test_a_packed_record_has_no_more_events_than_its_bytes_say() -> None:
    batch = at([event(n, item_id="i", action="a", price=1.0) for n in range(300)], range(300))
    (_, value), *others = pack(np.zeros(300, np.int64), np.arange(300), batch, PARTITIONS)
    assert not others
    assert most_events(Arrived(value, 0)) >= 300


async def test_both_sides_together_count_what_the_import_of_history_counts() -> None:
    shelf, batch = Shelf(), [event(n, item_id=f"i{n % 5}", price=1.0 + n, category="drinks") for n in range(60)]
    side, items = users(shelf), Items(PLANS.item, shelf, 64, partitions=PARTITIONS)
    records = await count(side, arrived(*batch))
    read = items.decode([Arrived(value, n, to, "behaviour-by-item") for n, (to, value) in enumerate(records)])
    assert await items.cache.touch(read.names)
    items.apply(read)
    counters = Counters(PLANS)
    counters.apply(at(batch, [0.0] * 60))
    for cache, arena in ((side.cache, counters.users), (items.cache, counters.items)):
        for name in arena.index:
            live, imported = (a.words[a.rows([name])[0], 3:] for a in (cache.arena, arena))
            assert live.tobytes() == imported.tobytes()


async def test_bytes_that_are_no_record_are_set_apart() -> None:
    items = Items(PLANS.item, Shelf(), 64, partitions=PARTITIONS)
    packed = [
        (0, b"", b"", b"", b"", ["x"], ["view"]),
        (PARTITIONS, *ONE, ["tea"], ["view"]),
        (-1, *ONE, ["tea"], ["view"]),
        (0, *ONE, ["tea"], ["view"]),
    ]
    elsewhere = (partition_for("tea", PARTITIONS) + 1) % PARTITIONS
    read = items.decode([Arrived(value, 0, elsewhere) for value in (b"\xc1", *map(msgspec.msgpack.encode, packed))])
    assert [reason for reason, *_ in read.letters] == ["undecodable"] * 4 + ["misrouted"]
    assert len(read.events) == 0


async def test_dead_letters_of_a_flush_are_on_their_way_together() -> None:
    together = asyncio.Barrier(3)

    class Letters:
        async def send(self, *_: object) -> None:
            async with asyncio.timeout(1):
                await together.wait()

    class Markers:
        async def advance(self, offsets: object) -> None:
            pass

    flush = Flush((), Markers(), None, None, Letters())  # type: ignore[arg-type]
    flush.pending.letters = [("undecodable", "", Arrived(b"", n)) for n in range(3)]
    await flush()
    assert together.n_waiting == 0


async def test_a_full_disk_ends_nothing_and_its_rows_come_with_the_next_part() -> None:
    files: dict[str, bytes] = {}

    def full(name: str, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    side = users(Shelf())
    side.cache.unrecorded = set()
    await count(side, arrived(event(1)))
    for put in (full, files.__setitem__, files.__setitem__):
        await FeaturesApp._record(SimpleNamespace(caches=[side.cache], history=History(put)))  # type: ignore[arg-type]
    assert len(files) == 1


async def test_the_catalogue_takes_the_newest_line_and_remembers_when_the_item_was_first_listed() -> None:
    side = Catalogue(PLANS.catalogue, Shelf(), 64, partitions=PARTITIONS)
    home = partition_for("tea", PARTITIONS)
    lines = [
        msgspec.convert({"item_id": "tea", "time": f"2023-11-{day}T00:00:00Z", "price": price}, Item, strict=False)
        for day, price in ((15, 3.0), (14, 4.0))
    ]
    read = side.decode([Arrived(msgspec.json.encode(line), n, home, "items") for n, line in enumerate(lines)])
    assert await side.cache.touch(read.names)
    side.apply(read)
    side.cache.dirty[:] = False
    side.apply(read)
    assert not side.cache.dirty.any(), "what is contained already is written anew"
    plan, row = PLANS.catalogue.plan, side.cache.arena.words[side.cache.arena.index["tea"]]
    assert row[plan.column("price")] == 4.0
    assert row.view(np.int64)[plan.column("listed")] == 1_699_920_000_000_000
