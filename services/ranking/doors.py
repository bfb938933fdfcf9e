"""The HTTP side: one ASGI middleware in front of BentoML's own application, because a request costs half as much that way."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
import structlog
from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from services.ranking import metrics
from services.ranking.ranker import Ranker
from services.ranking.requests import Answer, parse_rank, parse_recommend
from shared import traces
from shared.access import Access
from shared.errors import BadInput, TooLarge, Unavailable
from shared.refusals import RETRY_AFTER, Reply, refusal, refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = "application/json"
BODY_SECONDS = 1.0
"""How long a request's body may take."""
LOGGED_S = 1.0
"""Seconds between two answers that are logged; at the level ``debug`` each one is."""
ROUTES = ("/rank", "/recommend", "/explain")
SCOPES = ("rank", "explain")
"""Of API keys; who may rank may ask for recommendations too."""

_log = structlog.stdlib.get_logger(service="ranking")
_encode = msgspec.json.Encoder().encode


class TooSlow(BadInput):
    """The body did not come in time."""


class Doors:
    """Answers ``/rank``, ``/recommend`` and ``/explain``. Closed until :meth:`open`."""

    def __init__(self) -> None:
        self._ranker: Ranker | None = None
        self.failed: Exception | None = None
        self._leave: Callable[[], None] = lambda: None
        self._concurrency, self._body_bytes, self._in_work = 0, 0, 0
        self._access = Access()
        self._logged_s, self._logged_at = LOGGED_S, 0.0

    def open(self, ranker: Ranker, concurrency: int, body_bytes: int, access: Access) -> None:
        """Answer with this ranker those whom ``access`` lets in, so many requests at once."""
        self._access = access
        self._ranker, self._concurrency, self._body_bytes = ranker, concurrency, body_bytes
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            self._logged_s = 0.0

    def on_failure(self, leave: Callable[[], None]) -> None:
        """What to do when the service cannot go on."""
        self._leave = leave

    def fail(self, error: Exception) -> None:
        """The service cannot go on."""
        self.failed = error
        self._leave()

    @property
    def ready(self) -> bool:
        """Whether a request would be answered."""
        return self._ranker is not None

    async def reply(self, scope: Scope, receive: Receive) -> Reply:
        """The answer to one request, whatever comes of it."""
        route = scope["path"]
        if self._ranker is None:
            return refusal(503, "No bundle is loaded yet: try again.", RETRY_AFTER)
        try:
            self._access.admit(scope, "explain" if route == "/explain" else "rank")
            self._have_room()
            body = await self._in_time(receive)
            self._have_room()
            answer = await self._work(self._ranker, route, body)
        except TooSlow as error:
            return refusal(408, str(error), {"Connection": "close"})
        except Exception as error:
            reply = refused(error)
            if reply.status == 500:
                _log.exception("failed", route=route)
            return reply
        if (now := time.monotonic()) - self._logged_at >= self._logged_s:
            self._logged_at = now
            _log.info("answered", route=route, request_id=answer.request_id, bundle=answer.bundle, degraded=answer.degraded)
        return Reply(200, _encode(answer))

    def _have_room(self) -> None:
        if self._in_work >= self._concurrency:
            raise Unavailable(f"{self._in_work} requests are in work, which is all this worker takes: try again.")

    async def _work(self, ranker: Ranker, route: str, body: bytes) -> Answer:
        self._in_work += 1
        metrics.in_work.set(self._in_work)
        try:
            return await self._answer(ranker, route, body)
        finally:
            self._in_work -= 1
            metrics.in_work.set(self._in_work)

    async def _answer(self, ranker: Ranker, route: str, body: bytes) -> Answer:
        if route == "/recommend":
            return await ranker.recommend(parse_recommend(body))
        request = parse_rank(body, ranker.task.context)
        return await (ranker.rank(request) if route == "/rank" else ranker.explain(request))

    async def _in_time(self, receive: Receive) -> bytes:
        """The body. Its request is not in work before: a client that sends slowly keeps nobody out."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._body(receive)
        except TimeoutError:
            raise TooSlow(f"The body did not come within {BODY_SECONDS:g} s.") from None

    async def _body(self, receive: Receive) -> bytes:
        body: bytes = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._body_bytes:
                raise TooLarge(f"The body is larger than {self._body_bytes} bytes: send fewer candidates.")
            if not message.get("more_body"):
                return body


class FastPath:
    """The middleware: the doors' routes are answered here, everything else by BentoML."""

    def __init__(self, app: App, doors: Doors) -> None:
        self._app, self._doors = app, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path == "/metrics":
            await _send(send, Reply(200, generate_latest(REGISTRY)), CONTENT_TYPE_LATEST)
        elif path not in ROUTES:
            await self._app(scope, receive, send)
        elif scope["method"] != "POST":
            await _send(send, refusal(405, f"Send a POST to {path}.", {"Allow": "POST"}))
        else:
            began = time.perf_counter()
            with traces.called(path, scope["headers"]):
                reply = await self._doors.reply(scope, receive)
            await _send(send, reply)
            answered, seconds = metrics.of(path, reply.status)
            answered.inc()
            seconds.observe(time.perf_counter() - began)


async def _send(send: Send, reply: Reply, kind: str = JSON) -> None:
    headers = {"content-type": kind, "content-length": str(len(reply.body)), **reply.headers}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    await send({"type": "http.response.body", "body": reply.body})
