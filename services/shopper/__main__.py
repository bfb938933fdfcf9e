"""``python -m services.shopper``: play a shop's past, or a synthetic load, against the doors."""

import argparse
import asyncio
import contextlib
import resource
import secrets
import signal
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
import numpy as np
import structlog

from services.shopper.asking import Asker
from services.shopper.doors import Doors
from services.shopper.drain import drain
from services.shopper.log import Log, Played
from services.shopper.outbox import Outbox
from services.shopper.pace import Clock, Delays
from services.shopper.past import PastPlay, Span
from services.shopper.settings import ShopperSettings
from services.shopper.shops import Shop, load
from services.shopper.synthetic import SyntheticPlay
from shared.datasets.shops import SHOPS
from shared.errors import BadSettings, FreshetError
from shared.messages import Item
from shared.tasks import task
from shared.telemetry import Monitor, log

ITEMS = 500
"""Lines of the catalogue in one request."""


class Shopper:
    """Everything a play needs, wired."""

    def __init__(self, settings: ShopperSettings, session: aiohttp.ClientSession, lines: Log, logger: structlog.stdlib.BoundLogger):
        self.settings, self.lines, self.logger = settings, lines, logger
        self.name, self.clock = secrets.token_hex(4), Clock()
        self.doors = Doors(session, settings.collector, settings.ranking, settings.shopper_key.get_secret_value())
        self.asker = Asker(self.name, self.doors, lines, self.clock, settings.shopper_in_flight)
        self.outbox = Outbox(self.name, self.doors, lines, self.clock)
        self.generator = np.random.default_rng(settings.shopper_seed)
        self.span = Span()

    async def play(self, synthetic: bool, public_set: str) -> None:
        """Send the catalogue, play, report all that still waits, and look which bundles learned it."""
        shop = await asyncio.to_thread(load, self.settings, public_set)
        items = shop.items
        await self._send(items)
        sending, started = asyncio.create_task(self.outbox.run()), self.clock.now()
        self.logger.info("play_started", play=self.name, items=len(items), rate=self.settings.shopper_rate)
        ended = await self._until_stopped(self._synthetic(items) if synthetic else self._past(shop))
        self.outbox.close()
        await sending
        await drain(self.asker, self.clock, items[0].item_id, self.settings.clock, self.span.last, self.settings.shopper_drain)
        self._account("synthetic" if synthetic else shop.name, started, ended, len(items))

    async def _send(self, items: Sequence[Item]) -> None:
        for start in range(0, len(items), ITEMS):
            await self.doors.items(items[start : start + ITEMS])

    async def _until_stopped(self, play: tuple[Awaitable[None], Callable[[], Awaitable[None]]]) -> float:
        """Play until its end or a signal; the moment it ended."""
        run, settled = play
        task = asyncio.ensure_future(run)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task
        ended = self.clock.now()
        await settled()
        return ended

    def _past(self, shop: Shop) -> tuple[Awaitable[None], Callable[[], Awaitable[None]]]:
        settings = self.settings
        delays = Delays(settings.shopper_delay_median, settings.shopper_delay_p90, self.generator)
        play = PastPlay(
            self.asker, self.outbox, delays, self.clock, settings.shopper_rate, self.generator, shop.label,
            task(settings.task).context, self.span,
        )  # fmt: skip
        return play.run(shop.moments, settings.shopper_seconds), play.settled

    def _synthetic(self, items: Sequence[Item]) -> tuple[Awaitable[None], Callable[[], Awaitable[None]]]:
        settings, ids = self.settings, [item.item_id for item in items]
        event_clock = settings.clock == "event"
        play = SyntheticPlay(self.asker, self.outbox, self.clock, ids, self.generator, self.name, event_clock)
        until = self.clock.now() + settings.shopper_seconds
        return play.run(settings.shopper_rate, settings.shopper_behaviour, until), play.settled

    def _account(self, kind: str, started: float, ended: float, items: int) -> None:
        played = Played(
            play=self.name,
            kind=kind,
            started_wall=started,
            ended_wall=ended,
            first_time=self.span.first,
            last_time=self.span.last,
            items=items,
            households=self.settings.shopper_households if kind == "journey" else 0,
            seed=self.settings.shopper_seed,
            memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        )
        self.lines.write(played)
        self.logger.info("play_ended", play=self.name, seconds=round(ended - started, 1), event_time_end=self.span.last)


def arguments(argv: Sequence[str] | None = None) -> tuple[ShopperSettings, bool, str]:
    """The settings with what the command line says instead, whether the load is synthetic, and the public set; empty for none.

    Raises:
        BadSettings: a value is wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m services.shopper", description=__doc__)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--synthetic", action="store_true", help="a steady load of random users and items")
    kind.add_argument("--shop", default="", metavar="NAME:FOLDER", help=f"a public set in place of the example: {', '.join(SHOPS)}")
    for name, field in ShopperSettings.model_fields.items():
        if name.startswith("shopper_"):
            parser.add_argument(f"--{name.removeprefix('shopper_')}", dest=name, metavar="X", help=f"default {field.default}")
    given = vars(parser.parse_args(argv))
    synthetic, public_set = bool(given.pop("synthetic")), str(given.pop("shop"))
    return ShopperSettings.read(**{name: value for name, value in given.items() if value is not None}), synthetic, public_set


async def main(settings: ShopperSettings, synthetic: bool, public_set: str) -> None:
    """One play from start to end."""
    logger = log("shopper", settings.log_level)
    monitor = Monitor(lambda: True)
    await monitor.start(settings.host, settings.shopper_port)
    connector = aiohttp.TCPConnector(limit=settings.shopper_in_flight + 32)
    async with aiohttp.ClientSession(connector=connector) as session:
        with Log(settings.shopper_log) as lines:
            await Shopper(settings, session, lines, logger).play(synthetic, public_set)
    await monitor.stop()


if __name__ == "__main__":
    try:
        asyncio.run(main(*arguments()))
    except BadSettings as error:
        raise SystemExit(str(error)) from None
    except FreshetError as error:
        raise SystemExit(f"the play stopped: {error}") from None
