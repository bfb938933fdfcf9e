"""Ranking as a BentoML service: the lifecycle and health are BentoML's, the questions are answered on the fast path."""

import asyncio
import os
from typing import Any

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml

from services.ranking.doors import ROUTES, Doors, FastPath
from services.ranking.parts import Parts
from services.ranking.settings import RankingSettings
from shared import traces
from shared.errors import FreshetError
from shared.telemetry import log

doors = Doors()


class Ranking:
    """Answers which items a shopper wants, with the newest model."""

    def __init__(self) -> None:
        self._settings = RankingSettings.read()
        self._log = log("ranking", self._settings.log_level)
        traces.begin("ranking", self._settings)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Begin to load; ``/readyz`` tells when it is done."""
        self._parts = Parts(self._settings, doors)
        self._running = asyncio.create_task(self._run())

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Requests are finished by now; let the impressions arrive."""
        self._running.cancel()
        await asyncio.wait([self._running])
        await self._parts.stop()
        self._log.info("drained")

    async def __is_ready__(self) -> bool:
        return doors.ready

    async def _run(self) -> None:
        try:
            await self._parts.run()
        except* Exception as errors:  # whatever ends the background ends the process: a supervisor starts it anew
            unexpected = errors.split(FreshetError)[1]
            self._log.error("stopped", detail=str(errors.exceptions[0]), exc_info=unexpected)
            doors.fail(errors)


service: Any = bentoml.service(
    Ranking,
    name="ranking",
    workers=1,
    metrics={"enabled": False},  # `/metrics` is the fast path's, with Freshet's own names
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ",".join((*ROUTES, "/metrics", "/livez", "/readyz"))},
)
service.add_asgi_middleware(FastPath, doors=doors)  # for `bentoml serve`; `__main__` puts it outermost
