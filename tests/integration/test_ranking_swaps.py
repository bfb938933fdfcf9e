"""Under load, bundles are swapped without a failed request, and no answer is of two bundles."""

import asyncio
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.bundles import Publisher
from tests.ranking import Service, a_publisher, fill_store, running
from tests.swapping import ROUNDING, impressions, mixture, steady

pytestmark = pytest.mark.engines

RATE = 110.0
SWAPS = 60


async def test_fifty_swaps_under_load_fail_nothing_and_mix_nothing(fresh_settings: Settings, tmp_path: Path) -> None:
    fill_store(fresh_settings)
    publisher = a_publisher(fresh_settings)
    publisher.full()
    with running(fresh_settings, tmp_path, clock="event", ranking_poll_seconds=0.05, ranking_concurrency=10_000) as service:
        done = asyncio.Event()
        load = asyncio.create_task(steady(service.url, RATE, lambda: not done.is_set()))
        await asyncio.to_thread(publish_one_after_another, publisher, service)
        done.set()
        answers = await load
        swaps = sum(service.metric(f'ranking_swaps_total{{kind="{kind}"}}') for kind in ("full", "delta"))
        assert service.metric('ranking_impressions_total{result="dropped"}') == 0
        assert service.stop() == 0, "it must let the impressions arrive"
    assert swaps >= 50
    assert len(answers) > 5 * SWAPS
    assert {answer.status for answer in answers} == {200}
    own, apart = mixture(publisher, answers, await impressions(fresh_settings, len(answers)))
    assert own < ROUNDING
    assert apart == 1.0, "the bundles are too alike for a mixture to be seen"


def publish_one_after_another(publisher: Publisher, service: Service) -> None:
    """Rows, rows and dense, new items, now and then a full one; each goes into service before the next is made."""
    for n in range(SWAPS):
        manifest = publisher.full() if n % 20 == 19 else publisher.delta(rows=150, dense=n % 3 == 0, new_items=int(n % 7 == 0))
        service.until(lambda window=manifest.window: service.metric("ranking_bundle_window") >= window, 30)
