"""The feature store as ranking sees it: rows now, or their absence said quickly."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from services.ranking import metrics
from shared.errors import StoreUnavailable
from shared.features.assemble import Assembler
from shared.features.plans import Plans
from shared.features.reader import TIMEOUT, FeatureReader
from shared.features.rows import Rows
from shared.messages import Inputs
from shared.settings import Settings

F8 = NDArray[np.float64]


SLACK_SECONDS = 0.1
"""How much longer than its time a read may take: after both nobody uses a replaced connection."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one read brought, with the plans that it is laid out by."""

    rows: Rows
    plans: Plans
    assembler: Assembler

    def listed(self, field: str) -> F8:
        """A field of the items' lines in the catalogue, which must have been read. (n,)."""
        assert self.rows.catalogue is not None, "the rows were read without the catalogue"
        return self.rows.catalogue[:, self.plans.catalogue.plan.column(field)]


class FeatureStore:
    """Reads rows and makes features of them; keeps up with plans that are applied while it runs."""

    def __init__(self, settings: Settings, context: tuple[str, ...], seconds: float, reader: FeatureReader) -> None:
        self._settings, self._context, self._seconds, self._reader = settings, context, seconds, reader
        self._plans, self._assembler = reader.plans, Assembler(reader.plans, context)
        self._log = structlog.stdlib.get_logger(service="ranking")
        self._away = False

    @classmethod
    async def connect(cls, settings: Settings, context: tuple[str, ...], seconds: float = TIMEOUT) -> "FeatureStore":
        """Connect and load the plans.

        Args:
            settings: where the store is.
            context: the names that the task declares.
            seconds: how long a read may take.

        Raises:
            StoreUnavailable: the store does not answer.
            BadSettings: nothing was applied yet.
        """
        return cls(settings, context, seconds, await FeatureReader.connect(settings, seconds))

    @property
    def inputs(self) -> Inputs:
        """Everything that can be made."""
        return self._assembler.inputs

    async def reload(self) -> None:
        """Load the plans again where others were applied; a store that is away leaves the old ones."""
        try:
            if not await self._reader.outdated():
                self._assembler_of(self._reader.plans)  # a read may have loaded them
                return
            fresh = await FeatureReader.connect(self._settings, self._seconds)
        except StoreUnavailable as error:
            self._log.warning("plans_not_reloaded", detail=str(error))
            return
        old, self._reader = self._reader, fresh
        self._assembler_of(fresh.plans)
        await asyncio.sleep(self._seconds + SLACK_SECONDS)
        await old.close()

    async def read(self, user_id: str, item_ids: Sequence[str], *, catalogue: bool = False) -> Seen:
        """The rows; defaults that say ``degraded`` while the store is away."""
        reader = self._reader
        try:
            rows = await reader.read(user_id, item_ids, catalogue=catalogue)
        except StoreUnavailable as error:
            metrics.degraded.inc()
            self._tell(True, str(error))
            rows = reader.empty(item_ids)
        else:
            self._tell(False)
        return Seen(rows, reader.plans, self._assembler_of(reader.plans))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._reader.close()

    def _assembler_of(self, plans: Plans) -> Assembler:
        if plans is not self._plans:
            self._plans, self._assembler = plans, Assembler(plans, self._context)
        return self._assembler

    def _tell(self, away: bool, detail: str = "") -> None:
        if away != self._away:
            self._away = away
            self._log.warning("store_away" if away else "store_back", detail=detail)
