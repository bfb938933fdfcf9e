"""The model in service: follows the pointer, and swaps between two requests."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from services.ranking import metrics
from shared.bundles.manifest import Pointer
from shared.bundles.reader import BundleReader, steps
from shared.errors import BundleRefused, StorageUnavailable
from shared.failpoints import failpoint
from shared.model.scorer import Scorer
from shared.model.update import Update


class LiveModel:
    """The scorer that requests use, and what moves it on.

    Args:
        reader: of the task's bundles.
        reload_inputs: called when a bundle reads features that are not known here, before it is refused, and at each look after.
        poll_seconds: how often the pointer is looked at when nobody announces anything.
    """

    def __init__(self, reader: BundleReader, reload_inputs: Callable[[], Awaitable[None]], poll_seconds: float) -> None:
        self._reader, self._reload_inputs, self._poll_seconds = reader, reload_inputs, poll_seconds
        self._scorer: Scorer | None = None
        self._refused: tuple[Pointer | None, str] = (None, "")
        self._due = asyncio.Event()
        self._log = structlog.stdlib.get_logger(service="ranking")

    @property
    def loaded(self) -> bool:
        """Whether there is a model to answer with."""
        return self._scorer is not None

    @property
    def current(self) -> Scorer:
        """The model. Take it after the last ``await`` and do not keep it over one: rows change in place."""
        assert self._scorer is not None, "asked before a bundle was loaded"
        return self._scorer

    def announce(self) -> None:
        """Somebody says that the pointer moved."""
        self._due.set()

    async def follow(self) -> None:
        """For ever: serve what the pointer says."""
        while True:
            await self.advance()
            try:
                async with asyncio.timeout(self._poll_seconds):
                    await self._due.wait()
            except TimeoutError:
                pass
            self._due.clear()

    async def advance(self) -> None:
        """Go to where the pointer is now, or stay where that cannot be: whatever happens, the old model keeps serving."""
        try:
            target = await asyncio.to_thread(self._reader.target)
        except StorageUnavailable as error:
            metrics.storage_errors.inc()
            self._log.warning("storage_away", detail=str(error))
            return
        except BundleRefused as error:
            self._refuse(error, None)
            return
        refused, code = self._refused
        final = target == refused and code != "inputs"  # a plan that has them may be applied any time
        if target is None or final or (self.loaded and target.version == self.current.manifest.version):
            return
        try:
            await self._move(target)
        except StorageUnavailable as error:
            metrics.storage_errors.inc()
            self._log.warning("storage_away", bundle=target.version, detail=str(error))
        except BundleRefused as error:
            if (target, error.code) != self._refused:
                self._refuse(error, target)

    async def _move(self, target: Pointer) -> None:
        try:
            await self._take(target)
        except BundleRefused as error:
            if error.code != "inputs":
                raise
            await self._reload_inputs()  # a Field was added: the plans here may only be old
            await self._take(target)

    async def _take(self, target: Pointer) -> None:
        began = time.perf_counter()
        deltas = steps(self.current.manifest.version, target) if self.loaded else None
        if deltas is None:
            await self._load(target, began)
            return
        for version in deltas:
            scorer = self.current
            contents = await asyncio.to_thread(self._reader.fetch, version, scorer.texts)
            update = await asyncio.to_thread(Update.prepare, scorer, contents)
            failpoint("ranking.prepared")
            applying = time.perf_counter()
            self._scorer = update.apply()
            metrics.apply_seconds.observe(time.perf_counter() - applying)
            self._swapped("delta", began)
            failpoint("ranking.swapped")
            began = time.perf_counter()

    async def _load(self, target: Pointer, began: float) -> None:
        near = self.current.texts if self.loaded else None
        self._scorer = await asyncio.to_thread(self._reader.load, target, near)
        self._swapped("full", began)

    def _swapped(self, kind: str, began: float) -> None:
        manifest, took = self.current.manifest, time.perf_counter() - began
        metrics.swaps.labels(kind).inc()
        metrics.swap_seconds.labels(kind).observe(took)
        metrics.bundle_window.set(manifest.window)
        metrics.bundle_created.set(manifest.created)
        self._log.info("swapped", bundle=manifest.version, kind=kind, ms=round(took * 1e3, 1), trace_id=manifest.trace_id)

    def _refuse(self, error: BundleRefused, target: Pointer | None) -> None:
        self._refused = target, error.code
        metrics.refused.labels(error.code).inc()
        serving = self.current.manifest.version if self.loaded else None
        version = target.version if target else None
        self._log.error("bundle_refused", code=error.code, bundle=version, serving=serving, detail=str(error))
