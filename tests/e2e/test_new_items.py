"""An item that is listed while all runs is ranked by its text soon after, its first outcome moves its row, and its trace tells."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from services.updater.learning.catalogue import centred
from services.updater.texts.encoder import Encoder
from services.updater.texts.folders import model_folder
from shared.bundles.reader import BundleReader
from shared.bundles.signing import verify_key
from shared.bundles.storage import Storage
from shared.keys import key
from shared.settings import Settings
from tests import joiner, swapping
from tests.collector import Collector, collecting
from tests.conftest import variables
from tests.examples import learner
from tests.feature_service import worker
from tests.ranking import Service, fill_store, running
from tests.spans import Spans, received
from tests.updaters import prepared, until

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]

TITLE = "organic green tea"


@dataclass
class Shop:
    """The doors of a loop in which every service runs."""

    collector: Collector
    ranking: Service

    def send(self, route: str, **message: object) -> None:
        """To the collector."""
        httpx.post(self.collector.url + route, json=message, timeout=10).raise_for_status()

    def rank(self, user: str, *items: str) -> Any:
        """An answer that is learned from: by counters that a busy machine could read."""
        return self.ranking.with_counters(lambda: self.ranking.rank(user, list(items)))

    def added(self, group: str) -> float:
        """What a group of inputs adds to the tea's score, for somebody who never bought anything; nothing counts as shown."""
        answer = self.ranking.rank("ana", ["tea"], door="/explain")
        contribution: float = answer["items"][0]["contributions"][group]
        return contribution


@pytest.fixture
def spans() -> Iterator[Spans]:
    """What every service says of every call."""
    with received() as spans:
        yield spans


@pytest.fixture
def shop(fresh_settings: Settings, tmp_path: Path, spans: Spans) -> Iterator[Shop]:
    """With a base that knows the items ``i0``, ``i1``, ..., and no full bundle within a minute of the first."""
    settings = fresh_settings.model_copy(update={"traces": spans.url, "traces_share": 1.0})
    environment = variables(settings)
    fill_store(settings)
    updaters, joining = prepared(settings, tmp_path), joiner.Worker("joiner", environment, tmp_path)
    folder = tmp_path / "ranking"
    folder.mkdir()
    updaters.start(full_s=60, encode_s=0.5).ready()
    joining.start()
    try:
        with (
            worker(environment, tmp_path),
            collecting(environment, tmp_path) as collector,
            running(settings, folder, verify_key=tmp_path / "verify.pem") as ranking,
        ):
            joining.wait()
            yield Shop(collector, ranking)
    finally:
        joining.kill()
        updaters.kill()


def test_a_new_item_is_ranked_by_its_text_and_its_first_outcome_moves_its_row(
    shop: Shop, fresh_settings: Settings, tmp_path: Path, spans: Spans
) -> None:
    assert (shop.added("text"), shop.added("item")) == (0, 0)
    shop.send("/items", item_id="tea", title=TITLE, category="c1", brand="b1", price=3.0)
    until(lambda: shop.added("text") != 0, 120)
    storage = Storage.connect(fresh_settings)
    pointer = storage.pointer("latest")
    assert pointer is not None
    scorer = BundleReader(storage, verify_key(tmp_path / "verify.pem")).load(pointer)
    vector = scorer.texts.vectors[scorer.sides.attributes[scorer.tables["item"].find_one(key("tea")), 2]]
    [base] = learner()[1]
    [expected] = centred(Encoder(model_folder()).encode([TITLE]).astype(np.float16), base.centre)
    assert np.abs(vector - expected).max() < 2e-3

    assert shop.added("item") == 0
    answer = shop.rank("bob", "tea", "i1", "i2")
    shop.send("/events", event_id="e1", user_id="bob", item_id="tea", action="purchase", request_id=answer["request_id"])
    until(lambda: shop.added("item") != 0, 120)

    impressions = asyncio.run(swapping.impressions(fresh_settings, 1))
    trace = impressions[answer["request_id"]].trace.split("-")[1]
    until(lambda: {("ranking", "/rank"), ("joiner", "join")} <= spans.of(trace).keys(), 30)
    until(lambda: any(trace in span.links for span in spans.found), 30)
    window = next(span for span in spans.found if trace in span.links)
    assert (window.service, window.name) == ("updater", "window")
    assert window.trace in {storage.manifest(version).trace_id for version in storage.versions()}
