"""Learning that makes the model worse, seen through the real loop: it is refused and counted, and the old bundle serves on."""

import asyncio
from pathlib import Path

import pytest

from shared.bundles.storage import Storage
from shared.settings import Settings
from tests.examples import send, shown
from tests.ranking import fill_store, running
from tests.updaters import prepared, until

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]

LISTS, LISTED = 40, 40
"""Sent at once: 1,600 rows of the 20,000 that the gate looks at."""


def test_what_was_learned_wrongly_is_refused_and_counted_and_the_old_bundle_serves_on(
    fresh_settings: Settings, tmp_path: Path
) -> None:
    fill_store(fresh_settings)
    updaters, folder = prepared(fresh_settings, tmp_path), tmp_path / "ranking"
    folder.mkdir()
    updater = updaters.start(module="tests.e2e.backward_updater", full_s=60).ready()
    served, sent = [], 0

    def shop() -> None:
        nonlocal sent
        asyncio.run(send(fresh_settings, [shown(sent + n, fresh_settings.partitions, LISTED) for n in range(LISTS)]))
        sent += LISTS
        until(lambda: updater.metric("updater_examples_total") == sent)

    with running(fresh_settings, folder, verify_key=tmp_path / "verify.pem") as ranking:
        while not updater.metric("updater_fallbacks_total"):
            assert sent < 30 * LISTS, "the gate saw nothing"
            shop()
            served.append(ranking.rank()["bundle"])
        old = Storage.connect(fresh_settings).pointer("latest").version
        assert old < served[-2], "nothing wrong was served before"
        ranking.until_serving(old)
        shop()
        assert ranking.rank()["bundle"] == old
    assert "quality_frozen" in updater.log.read_text()
    assert updater.metric("updater_bundles_refused_total") >= 1
    assert updater.metric("updater_gate_open") == 0
    updater.kill()
