"""The shop's side of the HTTP doors: ask for a ranking, report behaviour, send the catalogue."""

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec

from shared.errors import Unavailable
from shared.messages import Behaviour, Item

RANK_TIMEOUT = 5.0
"""Seconds after which a shop would have shown its own list."""
REPORT_TIMEOUT = 10.0
PATIENCE = 120.0
"""Seconds for which the same events are sent again before they count as lost."""


class Ranked(msgspec.Struct, frozen=True):
    """One item of an answer."""

    item_id: str
    score: float
    position: int


class Ranking(msgspec.Struct, frozen=True):
    """The answer of ``/rank``."""

    request_id: str
    bundle: str
    window: int
    degraded: bool
    items: tuple[Ranked, ...]


class Receipt(msgspec.Struct, frozen=True):
    """Where the collector put an event."""

    event_id: str
    partition: int
    offset: int


class _Receipts(msgspec.Struct, frozen=True):
    accepted: tuple[Receipt, ...]


class Shed(Unavailable):
    """The ranking service had too much to do (503)."""


class Refused(Unavailable):
    """The door said that what was sent is wrong; sending it again would not help."""


class Doors:
    """The doors over one keep-alive session."""

    def __init__(self, session: aiohttp.ClientSession, collector: str, ranking: str, key: str = "") -> None:
        self._session, self._collector, self._ranking = session, collector, ranking
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._encode = msgspec.json.Encoder().encode
        self._ranking_of = msgspec.json.Decoder(Ranking).decode
        self._receipts_of = msgspec.json.Decoder(_Receipts).decode

    async def rank(self, body: dict[str, Any], door: str = "rank") -> Ranking:
        """Ask once.

        Raises:
            Shed: 503.
            Unavailable: no answer in time, or another one than a ranking.
        """
        try:
            status, raw, _ = await self._post(f"{self._ranking}/{door}", body, RANK_TIMEOUT)
            if status == 503:
                raise Shed("the ranking service answered 503")
            if status != 200:
                raise Unavailable(f"the ranking service answered {status}: {raw[:200].decode(errors='replace')}")
            return self._ranking_of(raw)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise Unavailable(f"no ranking: {type(error).__name__} {error}") from error

    async def report(self, events: Sequence[Behaviour]) -> tuple[tuple[Receipt, ...], int]:
        """Report behaviour until it is accepted: the receipts in order, and how many times it was sent.

        Raises:
            Refused: the collector found a mistake in it.
            Unavailable: not accepted within :data:`PATIENCE` seconds.
        """
        raw, attempts = await self._insist(f"{self._collector}/events", list(events))
        return self._receipts_of(raw).accepted, attempts

    async def items(self, items: Sequence[Item]) -> None:
        """Send lines of the catalogue; raises as :meth:`report` does."""
        await self._insist(f"{self._collector}/items", list(items))

    async def _insist(self, url: str, body: object) -> tuple[bytes, int]:
        """Send the same body until the door takes it; a repeat has the same ids, so it counts once."""
        attempts, pause, until = 0, 0.1, asyncio.get_running_loop().time() + PATIENCE
        while asyncio.get_running_loop().time() < until:
            attempts += 1
            try:
                status, raw, wait = await self._post(url, body, REPORT_TIMEOUT)
            except (aiohttp.ClientError, TimeoutError):
                status, raw, wait = 503, b"", 0.0
            if status == 200:
                return raw, attempts
            if 400 <= status < 500 and status != 429:
                raise Refused(f"{url} answered {status}: {raw[:300].decode(errors='replace')}")
            await asyncio.sleep(max(wait, pause))
            pause = min(2 * pause, 2.0)
        raise Unavailable(f"{url} took nothing for {PATIENCE:.0f} s")

    async def _post(self, url: str, body: object, timeout: float) -> tuple[int, bytes, float]:  # noqa: ASYNC109 (aiohttp's own)
        data = self._encode(body)
        patience = aiohttp.ClientTimeout(timeout)
        async with self._session.post(url, data=data, headers=self._headers, timeout=patience) as answer:
            raw = await answer.read()
            after = answer.headers.get("Retry-After", "0")
            return answer.status, raw, float(after) if after.isdigit() else 0.0
