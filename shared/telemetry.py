"""What every service shows of itself: structured lines on stderr, and ``/metrics``, ``/livez`` and ``/readyz`` over HTTP."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from shared.errors import BadSettings, FreshetError

Ready = Callable[[], bool]


def log(service: str, level: str = "info") -> structlog.stdlib.BoundLogger:
    """A logger whose lines are JSON objects (``service``, ``event``, ``level``, ``timestamp``); libraries' lines join them."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("aiokafka", "faust", "mode", "botocore", "urllib3", "kafka"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return structlog.stdlib.get_logger().bind(service=service)


@contextmanager
def plainly(service: str) -> Iterator[None]:
    """An error that we raise on purpose is one line of the log, not a traceback; the process then ends with code 1."""
    try:
        yield
    except FreshetError as error:
        log(service).error("stopped", reason=str(error))
        raise SystemExit(1) from None


class Monitor:
    """The HTTP side of a service that has no doors of its own.

    ``/livez`` answers 200 while the event loop turns, ``/readyz`` 200 once ``ready()`` and 503 before, ``/metrics`` in Prometheus'
    text format.
    """

    def __init__(self, ready: Ready, registry: CollectorRegistry = REGISTRY) -> None:
        self.ready, self.registry = ready, registry
        app = web.Application()
        app.router.add_get("/livez", self._live)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            BadSettings: the port is taken.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            raise BadSettings(f"Metrics cannot be shown on {host}:{port} ({error}); give the service another port.") from None

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _live(self, _: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _ready(self, _: web.Request) -> web.Response:
        ready = self.ready()
        return web.Response(text="ready\n" if ready else "starting\n", status=200 if ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


last_record_age = Gauge("freshet_last_record_age_seconds", "Age of the last record read", ["topic", "partition"])
"""What services scale on: committed offsets may be held back on purpose, the record last read may not."""
