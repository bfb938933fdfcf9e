"""Reads a user's and the candidates' rows in one round trip, or says quickly that the store is away."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from redis.exceptions import RedisError

from shared import valkey
from shared.errors import StoreUnavailable
from shared.features.plans import Plans, UnknownPlan, plan_key
from shared.features.rows import Rows
from shared.keys import keys
from shared.settings import Settings

TIMEOUT = 0.02
"""Seconds that a request waits for the store, unless told otherwise."""
PLANS_TIMEOUT = 1.0
"""Seconds that a request waits for plans that were applied since, which takes a look at every key."""
TURNS = 8
"""Turns of the event loop in which an answer that came in time is taken in: a busy loop is not a store that is away."""
AT_ONCE = 8
"""Reads under way; the others wait their turn, whose time does not count as the store's."""


class Breaker:
    """Stops asking after ``failures`` failures in a row, and tries again after ``pause`` seconds."""

    def __init__(self, failures: int = 2 * AT_ONCE, pause: float = 1.0) -> None:
        self.failures, self.pause = failures, pause
        self._failed, self._until = 0, 0.0

    def is_open(self, now: float) -> bool:
        """Whether nobody should ask at this moment (monotonic seconds)."""
        return self._failed >= self.failures and now < self._until

    def succeeded(self) -> None:
        """The store answered."""
        self._failed = 0

    def failed(self, now: float) -> None:
        """The store did not answer."""
        self._failed += 1
        self._until = now + self.pause


class FeatureReader:
    """One process's way to the rows; see :meth:`connect`."""

    def __init__(
        self, client: Any, plans: Plans, project: str, *, timeout: float = TIMEOUT, breaker: Breaker | None = None
    ) -> None:
        self._client, self.plans, self._project, self._timeout = client, plans, project, timeout
        self._breaker = breaker or Breaker()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._loading: asyncio.Future[None] | None = None

    @classmethod
    async def connect(cls, settings: Settings, seconds: float = TIMEOUT) -> Self:
        """Connect, and load the plans that ``feast apply`` left in the store.

        Args:
            settings: where the store is.
            seconds: how long a request waits for it.

        Raises:
            StoreUnavailable: the store does not answer.
            BadSettings: nothing was applied yet.
        """
        client = valkey.connect_async(settings)
        try:
            return cls(client, await Plans.load(client, settings.project), settings.project, timeout=seconds)
        except BaseException as error:
            await client.aclose()
            if isinstance(error, (RedisError, OSError)):
                raise valkey.away(settings, error) from error
            raise

    async def read(self, user_id: str, item_ids: Sequence[str], *, catalogue: bool = False) -> Rows:
        """The rows of a user and n items, in one MGET; ``catalogue`` asks for the items' lines of the catalogue too.

        Raises:
            StoreUnavailable: no answer in time, or none expected because the last ones failed; or a row follows a plan that
                did not come within a second.
        """
        plans, n = self.plans, len(item_ids)
        wanted = [plans.user.plan.key(user_id), *plans.item.plan.keys(item_ids)]
        if catalogue:
            wanted += plans.catalogue.plan.keys(item_ids)
        values = await self._get(wanted)
        try:
            return self._rows(values, item_ids, n, catalogue)
        except UnknownPlan:
            await self._reloaded()
        try:
            return self._rows(values, item_ids, n, catalogue)
        except UnknownPlan as error:
            raise StoreUnavailable(f"a row of {error} follows a plan that Valkey does not have") from error

    async def outdated(self) -> bool:
        """Whether a plan was applied since; asks for a number of each view, and not for every key as loading the plans does.

        Raises:
            StoreUnavailable: the store does not say so within a second.
        """
        plans = [view.plan for view in self.plans.views.values()]
        try:
            async with asyncio.timeout(PLANS_TIMEOUT):
                current = await self._client.mget([plan_key(self._project, plan.view) for plan in plans])
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable(f"Valkey did not say which plans are current: {error!r}") from error
        return any(found is not None and int(found) != plan.id for found, plan in zip(current, plans, strict=True))

    def empty(self, item_ids: Sequence[str]) -> Rows:
        """What is assumed while the store is away: defaults for a user and these items."""
        rows = self._rows([None] * (1 + 2 * len(item_ids)), item_ids, len(item_ids), True)
        return Rows(rows.user, rows.items, rows.item_keys, rows.catalogue, degraded=True)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    def _rows(self, values: Sequence[bytes | None], item_ids: Sequence[str], n: int, catalogue: bool) -> Rows:
        plans = self.plans
        return Rows(
            user=plans.user.words(values[:1]),
            items=plans.item.words(values[1 : n + 1]),
            item_keys=keys(item_ids) if n else np.zeros(0, np.uint64),
            catalogue=plans.catalogue.words(values[n + 1 :]) if catalogue else None,
        )

    async def _reloaded(self) -> None:
        """Wait for the plans to be loaded again, which is done once for all who wait, and goes on when their time is over."""
        if self._loading is None or self._loading.done():
            self._loading = asyncio.ensure_future(self._load())
            self._loading.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting any more
        try:
            async with asyncio.timeout(PLANS_TIMEOUT):
                await asyncio.shield(self._loading)
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable(f"Valkey did not say how its rows are laid out: {error!r}") from error

    async def _load(self) -> None:
        self.plans = await Plans.load(self._client, self._project)

    async def _get(self, wanted: list[bytes]) -> list[bytes | None]:
        async with self._turn:
            if self._breaker.is_open(time.monotonic()):
                raise StoreUnavailable("Valkey did not answer just now; it is asked again in a second")
            try:
                values = await self._in_time(asyncio.ensure_future(self._client.mget(wanted)))
            except (RedisError, OSError, TimeoutError) as error:
                self._breaker.failed(time.monotonic())
                raise StoreUnavailable(f"Valkey did not answer: {error!r}") from error
            self._breaker.succeeded()
            return values

    async def _in_time(self, asked: asyncio.Future[list[bytes | None]]) -> list[bytes | None]:
        """The answer, where it had arrived when the time was over; the loop may have been too busy to take it in by then.

        Raises:
            TimeoutError: it had not.
        """
        try:
            await asyncio.wait({asked}, timeout=self._timeout)
            for _ in range(TURNS):
                if asked.done():
                    break
                await asyncio.sleep(0)
            if not asked.done():
                raise TimeoutError(f"nothing within {self._timeout * 1000:.0f} ms")
            return asked.result()
        finally:
            asked.cancel()
