"""Three labels over Kafka: what shoppers clicked, put into the cart and bought is joined, learned and served by a head each.

The services that run here are ``tests.three_labels``': this process's tasks stay as they are.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from shared.bundles.reader import BundleReader
from shared.bundles.signing import verify_key
from shared.bundles.storage import Storage
from shared.features.assemble import Features
from shared.kafka import producer
from shared.keys import key
from shared.messages import Behaviour, Impression
from shared.model.scorer import Scorer
from shared.settings import Settings
from tests import lineage
from tests.conftest import variables
from tests.examples import INPUTS, shown
from tests.joiner import TIMES, Worker
from tests.three_labels import TASK
from tests.updaters import prepared, until

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]

EVERY = {"click": 2, "cart": 4, "purchase": 8}
"""Of the items i0, i1, ... every so manieth is clicked, put into the cart, bought, whenever it is shown."""
ROUNDS, LISTS = 12, 20


def happens(item: str, action: str) -> bool:
    return int(item[1:]) % EVERY[action] == 0


async def shop(settings: Settings) -> int:
    """Lists are shown; clicks and carts come within the wait, purchases after it. How many outcomes there were."""
    outcomes = 0
    async with producer(settings, linger_ms=1) as client:

        async def do(impressions: list[Impression], *actions: str) -> int:
            done = [(one, item, action) for one in impressions for item in one.items for action in actions if happens(item, action)]
            for one, item, action in done:
                event = Behaviour(
                    event_id=f"{one.request_id}-{item}-{action}", user_id=one.user_id, item_id=item, action=action,
                    time=datetime.now(UTC), request_id=one.request_id,
                )  # fmt: skip
                await client.send(Behaviour.topic, msgspec.json.encode(event), key=one.user_id.encode())
            return len(done)

        for number in range(ROUNDS):
            lists = [shown(LISTS * number + n, settings.partitions).impression for n in range(LISTS)]
            for one in lists:
                await client.send(Impression.topic, msgspec.msgpack.encode(one), key=one.user_id.encode())
            outcomes += await do(lists, "click", "cart")
            await asyncio.sleep(float(TIMES["FRESHET_JOINER_WAIT_S"]) + 0.2)
            outcomes += await do(lists, "purchase")
    return outcomes


def scores(scorer: Scorer, impression: Impression) -> np.ndarray:
    """(n, L)."""
    candidate = np.frombuffer(impression.candidate_features, "<f4").reshape(-1, len(INPUTS.candidate))
    history = np.frombuffer(impression.history, "<u8"), np.frombuffer(impression.history_weights, "<f4")
    asked = Features(np.frombuffer(impression.user_features, "<f4"), candidate, *history)
    return scorer.score(
        asked, np.array([key(item) for item in impression.items], np.uint64), key(impression.user_id), impression.time
    )


def test_what_was_clicked_carted_and_bought_is_learned_by_a_head_each(fresh_settings: Settings, tmp_path: Path) -> None:
    updaters = prepared(fresh_settings, tmp_path, TASK)
    joiner = Worker("joiner", variables(fresh_settings) | TIMES, tmp_path, "tests.three_labels.joiner")
    joiner.start()
    updater = updaters.start(module="tests.three_labels.updater").ready()
    try:
        joiner.wait()
        outcomes = asyncio.run(shop(fresh_settings))
        until(lambda: updater.metric("updater_outcomes_total") == outcomes)
        until(lambda: lineage.learned_up_to(fresh_settings) == asyncio.run(lineage.ends(fresh_settings)))
        assert updater.stop() == 0, updater.log.read_text()[-3000:]
    finally:
        joiner.kill()
        updaters.kill()

    reader = BundleReader(Storage.connect(fresh_settings), verify_key(tmp_path / "verify.pem"))
    target = reader.target()
    assert target is not None
    scorer = reader.load(target)
    assert scorer.manifest.labels == TASK.labels
    asked = [shown(number, fresh_settings.partitions).impression for number in range(ROUNDS * LISTS)]
    found, items = np.concatenate([scores(scorer, one) for one in asked]), [item for one in asked for item in one.items]
    for head, action in enumerate(TASK.labels):
        yes = np.array([happens(item, action) for item in items])
        assert found[yes, head].mean() > found[~yes, head].mean() + 0.2, action
