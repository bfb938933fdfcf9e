"""Behaviour that is reported later: each event waits for its moment, then is sent until the collector takes it."""

import asyncio
import heapq
from itertools import count

from services.shopper import counters
from services.shopper.doors import Doors
from services.shopper.log import Accepted, Log
from services.shopper.pace import Clock
from shared.errors import Unavailable
from shared.messages import Behaviour

TICK = 0.01
"""Seconds between two looks at what is due; what is due together is sent in one list."""
LIST = 50
"""Events in one request at most."""


class Outbox:
    """A queue by due time. Nothing in it is ever dropped: what the collector never takes is logged as lost."""

    def __init__(self, play: str, doors: Doors, log: Log, clock: Clock) -> None:
        self._play, self._doors, self._log, self._clock = play, doors, log, clock
        self._queue: list[tuple[float, int, Behaviour]] = []
        self._order = count()
        self._sending: set[asyncio.Task[None]] = set()
        self._closing = False

    def put(self, due: float, event: Behaviour) -> None:
        """Report this event at this moment of the clock."""
        heapq.heappush(self._queue, (due, next(self._order), event))

    async def run(self) -> None:
        """Send what is due, until :meth:`close` was called and all is sent."""
        while self._queue or not self._closing:
            await asyncio.sleep(TICK)
            due = self._take()
            for start in range(0, len(due), LIST):
                task = asyncio.create_task(self._send(due[start : start + LIST]))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
            counters.waiting.set(len(self._queue))
            self._log.flush()
        await asyncio.gather(*self._sending)
        self._log.flush()

    def close(self) -> None:
        """Report all that waits at once, and let :meth:`run` end."""
        self._closing = True

    def _take(self) -> list[Behaviour]:
        now, due = self._clock.now(), []
        while self._queue and (self._closing or self._queue[0][0] <= now):
            due.append(heapq.heappop(self._queue)[2])
        return due

    async def _send(self, events: list[Behaviour]) -> None:
        sent = self._clock.now()
        try:
            receipts, attempts = await self._doors.report(events)
        except Unavailable:
            counters.events.labels("lost").inc(len(events))
            for event in events:
                self._log.write(self._line(event, sent))
            return
        accepted = self._clock.now()
        counters.events.labels("ok").inc(len(events))
        for event, receipt in zip(events, receipts, strict=True):
            self._log.write(self._line(event, sent, accepted, receipt.partition, receipt.offset, attempts))

    def _line(
        self, event: Behaviour, sent: float, accepted: float = 0.0, partition: int = -1, offset: int = -1, attempts: int = 1
    ) -> Accepted:
        return Accepted(
            play=self._play,
            event_id=event.event_id,
            user_id=event.user_id,
            item_id=event.item_id,
            time=event.time.timestamp(),
            sent_wall=sent,
            accepted_wall=accepted,
            partition=partition,
            offset=offset,
            request_id=event.request_id or "",
            attempts=attempts,
        )
