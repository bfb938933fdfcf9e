"""What runs beside the doors, from start to end."""

import asyncio
import contextlib
import gc
from collections.abc import Coroutine
from typing import Any

import numpy as np
import structlog

from services.ranking import edges
from services.ranking.doors import SCOPES, Doors
from services.ranking.explore import Exploration, PlackettLuce, Swap
from services.ranking.impressions import ImpressionLog
from services.ranking.live import LiveModel
from services.ranking.ranker import Ranker
from services.ranking.settings import RankingSettings
from services.ranking.store import FeatureStore
from shared.access import Access, keys
from shared.bundles.reader import BundleReader
from shared.bundles.signing import verify_key
from shared.bundles.storage import Storage
from shared.errors import StoreUnavailable
from shared.kafka import until_kafka_answers
from shared.tasks import task

RETRY_SECONDS = 1.0


class Parts:
    """Everything that ranking is made of, wired by the settings."""

    def __init__(self, settings: RankingSettings, doors: Doors) -> None:
        self._settings, self._doors, self._task = settings, doors, task(settings.task)
        self._key = verify_key(settings.verify_key)
        self._sender = edges.ImpressionSender(settings)
        self._impressions = ImpressionLog(
            self._sender.send, settings.ranking_impressions_buffer, settings.ranking_impressions_bytes
        )
        self._storage = Storage.connect(settings)
        self._store: FeatureStore | None = None
        self._delivering: asyncio.Task[None] | None = None
        self._log = structlog.stdlib.get_logger(service="ranking")

    async def run(self) -> None:
        """For ever: connect, load the pointer's bundle, open the doors, follow.

        Raises:
            BadSettings: an API key is none, nothing was applied to the feature store, or a topic is not what the table says.
        """
        settings = self._settings
        access = Access(keys(settings.ranking_keys.get_secret_value(), SCOPES), settings.ranking_rate)
        self._delivering = asyncio.create_task(self._impressions.deliver())
        async with asyncio.TaskGroup() as group:
            group.create_task(_outlived(self._delivering))
            group.create_task(edges.check(self._settings))
            store = self._store = await self._connected_store()
            reader = BundleReader(self._storage, self._key, lambda: store.inputs)
            live = LiveModel(reader, store.reload, self._settings.ranking_poll_seconds)
            group.create_task(until_kafka_answers(edges.SERVICE, lambda: edges.listen(settings, live.announce)))
            await self._first_bundle(live)
            ranker = self._ranker(live, store)
            await ranker.warm()
            _freeze()
            self._doors.open(ranker, settings.ranking_concurrency, settings.ranking_body_bytes, access)
            await live.follow()

    async def stop(self) -> None:
        """Let the impressions in flight arrive, and close."""
        if not await self._impressions.drained(self._settings.ranking_drain_seconds):
            self._log.error("impressions_lost", waiting=self._impressions.waiting)
        if self._delivering:
            self._delivering.cancel()
        closing: list[Coroutine[Any, Any, None]] = [self._sender.stop(), *([self._store.close()] if self._store else [])]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*closing), self._settings.ranking_drain_seconds)
        self._storage.objects.close()

    async def _first_bundle(self, live: LiveModel) -> None:
        while True:
            await live.advance()
            if live.loaded:
                return
            self._log.info("no_bundle_yet")
            await asyncio.sleep(RETRY_SECONDS)

    def _ranker(self, live: LiveModel, store: FeatureStore) -> Ranker:
        settings = self._settings
        return Ranker(
            self._task,
            live,
            store,
            self._impressions,
            replay=settings.clock == "event",
            retrieved=settings.ranking_retrieved,
            wait_seconds=settings.ranking_impressions_seconds if settings.ranking_impressions_wait else None,
            exploration=self._exploration(),
        )

    def _exploration(self) -> Exploration | None:
        settings, random = self._settings, np.random.default_rng()
        match settings.ranking_explore:
            case "swap":
                return Swap(settings.ranking_explore_share, random)
            case "plackett-luce":
                return PlackettLuce(settings.ranking_explore_temperature, random)
        return None

    async def _connected_store(self) -> FeatureStore:
        while True:
            try:
                return await FeatureStore.connect(self._settings, self._task.context, self._settings.ranking_store_seconds)
            except StoreUnavailable as error:
                self._log.warning("store_away", detail=str(error))
                await asyncio.sleep(RETRY_SECONDS)


async def _outlived(task: asyncio.Task[None]) -> None:
    """Fail when the task fails; a cancellation here leaves it running, for it has to deliver what is left."""
    await asyncio.shield(task)


def _freeze() -> None:
    """Keep the collector from walking what lives as long as the process: modules, tables, texts."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
