"""A collector and a ranking service that answer like the real ones and remember what they were told, for the shopper's tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass
class FakeShopDoors:
    """Both services on one port; ``busy`` first answers of ``/events`` and ``shed`` first of ``/rank`` are 503."""

    busy: int = 0
    shed: int = 0
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """Every accepted call in order: (door, body)."""
    refused: list[list[str]] = field(default_factory=list)
    """Event ids of the calls that were answered 503."""
    offset: int = 0

    def bodies(self, door: str) -> list[Any]:
        """The bodies of one door's calls."""
        return [body for name, body in self.calls if name == door]

    async def events(self, request: web.Request) -> web.Response:
        """``POST /events``: a receipt for each event."""
        sent = await request.json()
        if self.busy:
            self.busy -= 1
            self.refused.append([event["event_id"] for event in sent])
            return web.Response(status=503)
        self.calls.append(("events", sent))
        accepted = []
        for event in sent:
            accepted.append({"event_id": event["event_id"], "partition": 3, "offset": self.offset})
            self.offset += 1
        return web.json_response({"accepted": accepted})

    async def items(self, request: web.Request) -> web.Response:
        """``POST /items``."""
        self.calls.append(("items", await request.json()))
        return web.json_response({})

    async def rank(self, request: web.Request) -> web.Response:
        """``POST /rank`` and ``/explain``: the candidates as they came."""
        body = await request.json()
        if self.shed:
            self.shed -= 1
            return web.Response(status=503, headers={"Retry-After": "1"})
        self.calls.append((request.path.strip("/"), body))
        items = [{"item_id": c["item_id"], "score": 0.5, "position": i} for i, c in enumerate(body["candidates"])]
        name = f"r{len(self.calls)}"
        return web.json_response({"request_id": name, "bundle": "00000000-0001", "window": 0, "degraded": False, "items": items})

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Answer on a free port; gives the address."""
        app = web.Application()
        app.router.add_post("/events", self.events)
        app.router.add_post("/items", self.items)
        app.router.add_post("/rank", self.rank)
        app.router.add_post("/explain", self.rank)
        async with TestServer(app) as server:
            yield str(server.make_url("")).rstrip("/")
