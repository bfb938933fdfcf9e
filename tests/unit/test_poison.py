"""Whatever stands on a topic, its reader sets apart what it cannot use, and reads on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.collector.follow import take
from services.collector.stamp import Catalogue as Lines
from services.features.by_item import Packed
from services.features.catalogue import Catalogue
from services.features.history import _by_day
from services.features.items import Items
from services.features.users import Users
from services.joiner import intake
from services.ranking.edges import _is_for
from services.updater import exported
from services.updater.learning.catalogue import Assortment
from services.updater.texts.newcomers import Newcomers
from services.updater.windows.kafka import _read
from services.updater.windows.plans import Plans
from shared.decoding import decoded
from shared.errors import BadRecord
from shared.features.events import micros
from shared.kafka import partition_for
from shared.messages import Behaviour, BundleAnnouncement, Example, Impression, Item, WindowPlan
from tests.contracts.strategies import messages
from tests.features import plans

PARTITIONS = 4
PLANS = plans()


@dataclass(frozen=True)
class Arrived:
    """A record as Kafka hands it over."""

    value: bytes | None
    partition: int = 0
    offset: int = 7
    topic: str = "any"
    key: bytes = b""
    timestamp: float = 1e12


class Nothing:
    """A Valkey that holds nothing."""

    async def mget(self, names: list[bytes]) -> list[None]:
        return [None] * len(names)


NEST = b'{"more":' + b"[" * 100_000, b"\x81\xa4more" + b"\x91" * 100_000
"""JSON and msgpack with a field that nobody knows, nested beyond what Python's stack takes."""

packed = st.builds(
    Packed,
    source=st.integers(-(2**63), 2**64 - 1),
    offsets=st.just(bytes(8)) | st.binary(max_size=20),
    times=st.just(bytes(8)),
    prices=st.just(bytes(8)),
    quantities=st.just(bytes(8)),
    items=st.lists(st.text(st.characters(codec="utf-8"), max_size=5), min_size=1, max_size=2),
    actions=st.just(["view"]),
)


def values(kind: type[Any], encode: Callable[[Any], bytes]) -> st.SearchStrategy[bytes | None]:
    """Anything; above all such messages, whole, with a byte changed, or cut short."""
    whole = (packed if kind is Packed else messages(kind)).map(encode)
    changed = st.builds(lambda value, at, byte: value[: at % len(value)] + byte + value[at % len(value) + 1 :],
                        whole, st.integers(0), st.binary(min_size=0, max_size=1) | st.just(b"\xff"))  # fmt: skip
    cut = st.builds(lambda value, at: value[: at % len(value)], whole, st.integers(0))
    return st.none() | st.binary() | st.sampled_from(NEST) | whole | changed | cut


def side(made: Any) -> Callable[[Arrived], int]:
    """A side of the features service: decode and count; how many records it set apart."""

    def read(record: Arrived) -> int:
        found = made.decode([record])
        assert asyncio.run(made.cache.touch(found.names))
        made.apply(found)
        return len(found.letters)

    return read


def catalogue(record: Arrived) -> int:
    try:
        take(Lines(), record, PARTITIONS)
    except BadRecord:
        return 1
    return 0


def newcomers(record: Arrived) -> int:
    skipped = exported.skipped.labels("undecodable_item")
    before = skipped._value.get()
    texts = SimpleNamespace(encoder="", vector=lambda _: None)
    follower = Newcomers(None, PARTITIONS, Assortment(4), texts, None, 0, 0.0, None)  # type: ignore[arg-type]
    follower._see(record.key, record.value)
    return int(skipped._value.get() - before)


def plan_log(record: Arrived) -> int:
    log = Plans()
    counts = log.read(record.offset, record.value)
    assert log.next_offset == record.offset + 1
    return int(not counts)


json, msgpack = msgspec.json.encode, msgspec.msgpack.encode
LABELS = frozenset({"purchase"})
READERS: dict[str, tuple[type[Any], Callable[[Any], bytes], Callable[[Arrived], int]]] = {
    "features: behaviour": (Behaviour, json, side(Users(PLANS.user, Nothing(), 9_999, partitions=PARTITIONS, per_minute=600))),
    "features: behaviour-by-item": (Packed, msgpack, side(Items(PLANS.item, Nothing(), 9_999, partitions=PARTITIONS))),
    "features: items": (Item, json, side(Catalogue(PLANS.catalogue, Nothing(), 9_999, partitions=PARTITIONS))),
    "joiner: behaviour": (Behaviour, json, lambda record: len(intake.outcomes([record], PARTITIONS, LABELS).refused)),
    "joiner: impressions": (Impression, msgpack, lambda record: len(intake.impressions([record], PARTITIONS).refused)),
    "collector: items": (Item, json, catalogue),
    "updater: examples": (Example, msgpack, lambda record: int(_read(record)[1] is not None)),
    "updater: items": (Item, json, newcomers),
    "updater: windows": (WindowPlan, msgpack, plan_log),
    "ranking: bundles": (BundleAnnouncement, json, lambda record: int(_is_for("ranking", record.value))),
}


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_no_record_stops_its_reader(name: str, data: st.DataObject) -> None:
    kind, encode, read = READERS[name]
    read(Arrived(data.draw(values(kind, encode)), data.draw(st.integers(0, PARTITIONS - 1))))


@pytest.mark.parametrize(
    "value", [b'{"item_id":"\xff"}', b"\x81\xa7item_id\xa1\xff", *NEST], ids=["json", "msgpack", "nest", "nests"]
)
@pytest.mark.parametrize("name", READERS)
def test_text_that_is_no_utf_8_and_a_nest_without_end_are_set_apart(name: str, value: bytes) -> None:
    assert READERS[name][2](Arrived(value)) == 1


def test_what_cannot_be_decoded_says_so() -> None:
    with pytest.raises(BadRecord, match="can't decode byte 0xff") as caught:
        decoded(msgspec.json.Decoder(Behaviour).decode, b'{"event_id":"\xff"}')
    assert caught.value.code == "undecodable"


def test_a_line_of_any_year_is_listed_then() -> None:
    made = Catalogue(PLANS.catalogue, Nothing(), 64, partitions=PARTITIONS)
    line = Item(item_id="tea", time=datetime(1960, 1, 1, tzinfo=UTC))
    assert side(made)(Arrived(json(line), partition_for("tea", PARTITIONS))) == 0
    [row] = made.cache.arena.rows(["tea"])
    assert made.cache.arena.words.view(np.int64)[row, PLANS.catalogue.plan.column("listed")] == -315_619_200_000_000


def test_the_history_has_a_day_for_any_year() -> None:
    first = micros(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    found = _by_day(np.array([0, -1, first, 86_399_999_999]))
    assert {name: rows.tolist() for name, rows in found.items()} == {"1970-01-01": [0, 3], "1969-12-31": [1], "0000-12-31": [2]}
