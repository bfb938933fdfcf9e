"""``python -m services.collector``: open the doors."""

import asyncio
import signal
import socket
import sys
from contextlib import suppress

import uvicorn
import uvloop

from services.collector.app import build
from services.collector.budget import Budget
from services.collector.doors import EventDoor, ItemDoor
from services.collector.follow import Follower
from services.collector.link import SERVICE, Link
from services.collector.settings import CollectorSettings
from services.collector.stamp import Catalogue, Clock
from shared import traces
from shared.access import Access, keys
from shared.errors import BadSettings, FreshetError
from shared.kafka import until_kafka_answers
from shared.telemetry import log


async def serve(settings: CollectorSettings) -> None:
    """Listen until SIGTERM, then finish what is in flight.

    Raises:
        BadSettings: the port is taken, OpenTelemetry is wanted and missing, or a topic is not what the table says.
    """
    traces.begin(SERVICE, settings)
    catalogue, link = Catalogue(), Link(settings)
    follower = Follower(settings, catalogue, link.keep)
    clock, budget = Clock(wall=settings.clock == "wall"), Budget(settings.collector_bytes_in_flight)
    doors = (EventDoor(link.send, catalogue, clock), ItemDoor(link.send, catalogue, clock))
    access = Access(keys(settings.collector_keys.get_secret_value(), [door.name for door in doors]), settings.collector_rate)
    app = build(doors, access, lambda: link.ready and follower.caught_up, budget, settings.collector_body_bytes)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=settings.collector_drain_seconds,
        )
    )
    with listening(settings.host, settings.collector_port) as door:
        background = asyncio.create_task(keep_up(link, follower))
        background.add_done_callback(lambda _: setattr(server, "should_exit", True))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # uvicorn drains on them, and raises them again once it is done
        await server.serve([door])
        await close(background, link, settings.collector_drain_seconds)


async def keep_up(link: Link, follower: Follower) -> None:
    """What runs beside the doors."""
    await link.connect()
    await asyncio.gather(until_kafka_answers(SERVICE, follower.follow), link.replace_refused())


async def close(background: asyncio.Task[None], link: Link, seconds: float) -> None:
    """End what runs beside the doors, which is also where its error comes out, and let the producer finish."""
    background.cancel()
    try:
        with suppress(asyncio.CancelledError):
            await background
    finally:
        await link.stop(seconds)


def listening(host: str, port: int) -> socket.socket:
    """The socket of the doors.

    Raises:
        BadSettings: the port is taken.
    """
    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise BadSettings(f"The collector cannot listen on {host}:{port} ({error}); change FRESHET_COLLECTOR_PORT.") from None


def main() -> int:
    """Run the service; returns the exit status."""
    logger = log(SERVICE)
    try:
        settings = CollectorSettings.read()
        logger = log(SERVICE, settings.log_level)
        logger.info("listening", host=settings.host, port=settings.collector_port, kafka=settings.kafka)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))
    except FreshetError as error:
        logger.error("stopped", detail=str(error))
        return 1
    logger.info("drained")
    return 0


if __name__ == "__main__":
    sys.exit(main())
