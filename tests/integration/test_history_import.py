"""A shop's own past, imported on real engines: its items stand on the topic as the collector's door would have put them there."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
import structlog

from infra.local.records import records
from services.updater.history import listing
from services.updater.history.importing import main
from services.updater.history.listing import list_items
from services.updater.settings import HistorySettings
from services.updater.texts.vectors import TextCache
from shared.bundles.signing import write_keys
from shared.bundles.storage import Storage
from shared.errors import BadSettings, KafkaUnavailable
from shared.messages import Item
from shared.settings import Settings
from tests.collector import collecting
from tests.conftest import delete_topics, variables
from tests.feature_service import apply_plans
from tests.unit.test_shop_files import START, lines, ndjson

pytestmark = pytest.mark.engines


def listed(settings: Settings) -> list[tuple[int, bytes, bytes]]:
    """Partition, key and value of every record on the topic, sorted."""

    async def read() -> list[tuple[int, bytes, bytes]]:
        return [(one.partition, one.key, one.value) async for one in records(settings, Item.topic)]

    return sorted(asyncio.run(read()))


async def away(*_: Any, **__: Any) -> None:
    """A Kafka that acknowledges nothing."""
    raise KafkaUnavailable("away")


def importing(settings: Settings, folder: Path) -> HistorySettings:
    apply_plans(settings)
    TextCache(folder / "texts").write({item.title: np.full(384, 384**-0.5, np.float16) for item in lines()[0]})
    write_keys(folder / "signing.pem", folder / "verify.pem")
    own = {"signing_key": folder / "signing.pem", "texts": folder / "texts"}
    return HistorySettings(**settings.model_dump() | own)


def test_an_imported_shops_items_are_on_the_topic_before_its_bundle_is_served(
    fresh_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, storage, logger = importing(fresh_settings, tmp_path), Storage.connect(fresh_settings), structlog.stdlib.get_logger()
    with monkeypatch.context() as patch:
        patch.setattr(listing, "deliver", away)
        with pytest.raises(KafkaUnavailable):
            main(settings, ndjson(tmp_path), logger)
    assert storage.pointer("latest") is None
    main(settings, tmp_path, logger)
    assert storage.pointer("latest") is not None
    found = {key.decode(): msgspec.json.decode(value, type=Item) for _, key, value in listed(settings)}
    assert found == {item.item_id: item for item in lines()[0]}


def test_without_the_topic_nothing_is_begun(fresh_settings: Settings, tmp_path: Path) -> None:
    settings = importing(fresh_settings, tmp_path)
    asyncio.run(delete_topics(settings, Item.topic))
    with pytest.raises(BadSettings, match="Topic items is missing"):
        main(settings, tmp_path / "nowhere", structlog.stdlib.get_logger())


def test_a_line_is_keyed_placed_and_encoded_as_the_door_does(fresh_settings: Settings, tmp_path: Path) -> None:
    items = [
        Item(item_id=f"i{n}", time=START, title="grüner Tee", category="tea", brand=None, price=3.5, stock=0.0) for n in range(20)
    ]
    assert asyncio.run(list_items(fresh_settings, items)) == 20
    ours = listed(fresh_settings)
    with collecting(variables(fresh_settings), tmp_path) as collector:
        body = msgspec.json.encode(items)
        httpx.post(f"{collector.url}/items", content=body, timeout=10).raise_for_status()
    assert listed(fresh_settings) == sorted(2 * ours)
