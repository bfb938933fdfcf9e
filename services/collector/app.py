"""The HTTP side: read a request within its limits, pass it through its door, and put errors into words."""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

import structlog
from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from services.collector import metrics
from services.collector.budget import Budget
from services.collector.doors import Answer, Door, encode
from services.collector.send import UNSENT
from shared import traces
from shared.access import Access
from shared.errors import BadInput, KafkaUnavailable, TooLarge
from shared.refusals import Reply, refused

JSON = "application/json"

_log = structlog.stdlib.get_logger(service="collector")


def build(doors: Sequence[Door], access: Access, ready: Callable[[], bool], budget: Budget, largest_body: int) -> Starlette:
    """The application: each door at ``POST /<name>``, ``/livez``, ``/readyz`` and ``/metrics``."""
    metrics.bytes_in_flight.set_function(lambda: budget.held)

    async def livez(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_: Request) -> Response:
        return PlainTextResponse("ready\n") if ready() else PlainTextResponse("starting\n", 503)

    async def shown(_: Request) -> Response:
        return Response(generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    routes = [Route(f"/{door.name}", endpoint(door, access, ready, budget, largest_body), methods=["POST"]) for door in doors]
    return Starlette(routes=[*routes, Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", shown)])


def endpoint(
    door: Door, access: Access, ready: Callable[[], bool], budget: Budget, largest_body: int
) -> Callable[[Request], Awaitable[Response]]:
    """What answers requests to a door, counted and timed."""

    async def accept(request: Request) -> Answer:
        access.admit(request.scope, door.name)
        if not ready():
            raise KafkaUnavailable(f"The collector is starting: the catalogue is not read yet. {UNSENT}")
        with ExitStack() as held:
            body = await read(request, largest_body, budget, held)
            return await door.accept(body, lambda: held.pop_all().close, datetime.now(UTC))

    async def answer(request: Request) -> Reply:
        try:
            return Reply(200, encode(await accept(request)))
        except Exception as error:
            reply = refused(error)
            if reply.status == 500:
                _log.exception("failed", route=door.name)
            return reply

    async def respond(request: Request) -> Response:
        begun = time.perf_counter()
        with traces.called(f"/{door.name}", request.headers.raw):
            reply = await answer(request)
        metrics.requests.labels(door.name, reply.status).inc()
        metrics.seconds.labels(door.name).observe(time.perf_counter() - begun)
        return Response(reply.body, reply.status, reply.headers, JSON)

    return respond


async def read(request: Request, largest: int, budget: Budget, held: ExitStack) -> bytes:
    """The body, counted against the budget as it arrives; ``held`` gives that back.

    Raises:
        TooLarge: the body is, or says that it will be, over ``largest`` bytes.
        Overloaded: the budget is spent.
    """
    body = bytearray()
    declared = request.headers.get("content-length", "0")
    expected = int(declared) if declared.isdecimal() else 0
    try:
        async for part in request.stream():
            expected = max(expected, len(body) + len(part))
            if expected > largest:
                raise TooLarge(f"The body is over {largest} bytes: send the list in parts.")
            budget.take(len(part))
            held.callback(budget.give, len(part))
            body += part
    except ClientDisconnect:
        raise BadInput("The body ended early.") from None
    return bytes(body)
