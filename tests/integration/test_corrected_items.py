"""An item whose line was corrected while it was for sale: the updater tells readers of it once, and every replay agrees."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from services.updater.history.listing import list_items
from services.updater.texts.vectors import TextCache
from shared.bundles.files import decode_catalogue
from shared.bundles.reader import BundleReader
from shared.bundles.signing import verify_key
from shared.bundles.storage import Storage
from shared.keys import key
from shared.settings import Settings
from tests import lineage
from tests.examples import items, learner, send, stream, vectors
from tests.updaters import Process, Updaters, prepared, until

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]


def learned(updaters: Updaters, first: int) -> Process:
    """An updater that has read the catalogue to its end, waited for others, and learned these lists."""
    running = updaters.start(encode_s=0.2, full_s=1).ready()
    for start in range(first, first + 60, 20):
        asyncio.run(send(updaters.settings, stream(start, 20, updaters.settings.partitions), pause=1.0))
    until(lambda: lineage.learned_up_to(updaters.settings) == asyncio.run(lineage.ends(updaters.settings)), 90)
    return running


def test_a_corrected_title_is_served_and_nothing_else_is_told_again(fresh_settings: Settings, tmp_path: Path) -> None:
    updaters, storage = prepared(fresh_settings, tmp_path), Storage.connect(fresh_settings)
    [base] = learner()[1]
    TextCache(tmp_path / "texts").write(vectors())
    corrected = replace(items()[3], title="text 4", category="c0", brand=None)
    asyncio.run(list_items(fresh_settings, [*items(), *(replace(item, price=2.0) for item in items()), corrected]))

    assert learned(updaters, 0).stop() == 0
    assert learned(updaters, 60).stop() == 0
    pointer = storage.pointer("latest")
    assert pointer is not None
    scorer = BundleReader(storage, verify_key(tmp_path / "verify.pem")).load(pointer)
    row = scorer.sides.attributes[scorer.tables["item"].find_one(key("i3"))]
    assert np.allclose(scorer.texts.vectors[row[2]], base.vectors[4], atol=1e-3)
    assert (scorer.tables["category"].keys[row[0]], row[1]) == (key("c0"), 0)

    later = lineage.last_checkpoint(fresh_settings)
    assert [decode_catalogue(storage.get_blob(file)).ids for file in later.catalogues] == [base.ids, ("i3",)]
    assert later.weights_sha256 == lineage.fresh_run(fresh_settings).learner.weights_sha256()
