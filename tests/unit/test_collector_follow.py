"""The catalogue takes over what stands on ``items``, and says why where it cannot."""

from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import pytest

from services.collector.follow import take
from services.collector.stamp import Catalogue, Stamp
from shared.errors import BadRecord
from shared.kafka import partition_for
from shared.messages import Item

PARTITIONS = 16
TEA = Item(item_id="tea", time=datetime(2026, 3, 1, tzinfo=UTC), category="drinks", price=3.5)
HOME = partition_for("tea", PARTITIONS)


class Read(NamedTuple):
    value: bytes | None = msgspec.json.encode(TEA)
    partition: int = HOME
    offset: int = 7
    topic: str = "items"
    key: bytes | None = b"tea"
    timestamp: float = 0.0


def test_an_item_is_taken_over_and_an_empty_record_removes_it() -> None:
    catalogue = Catalogue()
    take(catalogue, Read(), PARTITIONS)
    assert catalogue.of("tea") == Stamp("drinks", None, 3.5)
    take(catalogue, Read(value=None, offset=8), PARTITIONS)
    assert len(catalogue) == 0


def test_a_field_that_a_newer_version_added_is_ignored() -> None:
    catalogue = Catalogue()
    take(catalogue, Read(value=b'{"item_id": "tea", "time": "2026-03-01T00:00:00Z", "colour": "green"}'), PARTITIONS)
    assert len(catalogue) == 1


@pytest.mark.parametrize("value", [b"\xff", b"{", b"{}", b'{"item_id": "\xff", "time": "2026-03-01T00:00:00Z"}', b'{"item_id": 3}'])
def test_what_is_no_item_is_undecodable(value: bytes) -> None:
    with pytest.raises(BadRecord) as caught:
        take(Catalogue(), Read(value=value), PARTITIONS)
    assert caught.value.code == "undecodable"


@pytest.mark.parametrize("value", [Read().value, None])
def test_an_item_on_the_wrong_partition_is_misrouted_and_changes_nothing(value: bytes | None) -> None:
    catalogue = Catalogue()
    take(catalogue, Read(), PARTITIONS)
    with pytest.raises(BadRecord, match=f"Item tea belongs to partition {HOME}") as caught:
        take(catalogue, Read(value=value, partition=(HOME + 1) % PARTITIONS, offset=8), PARTITIONS)
    assert (caught.value.code, catalogue.of("tea").price) == ("misrouted", 3.5)


def test_a_topic_that_is_read_again_from_its_start_brings_no_removed_item_back() -> None:
    catalogue = Catalogue()
    for record in (Read(), Read(value=None, offset=8), Read()):
        take(catalogue, record, PARTITIONS)
    assert len(catalogue) == 0
