"""Play a shop's past: each moment's lists are asked first, then what was done is told, late."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

import msgspec
import numpy as np

from services.shopper import counters
from services.shopper.asking import Asker, Question
from services.shopper.log import Asked
from services.shopper.outbox import Outbox
from services.shopper.pace import Arrivals, Clock, Delays
from shared.datasets.candidates import DAY, NOTHING, Candidate, CandidateList
from shared.datasets.moments import Moment

AHEAD = 16
"""Moments read at once, off the event loop."""


@dataclass(slots=True)
class Span:
    """Which event time was played."""

    first: float = 0.0
    last: float = 0.0

    def add(self, moment: float) -> None:
        """What was done at this event time was played."""
        self.first, self.last = self.first or moment, moment


@dataclass(slots=True)
class PastPlay:
    """One play: moments in event-time order, one list an arrival, outcomes after a delay."""

    asker: Asker
    outbox: Outbox
    delays: Delays
    clock: Clock
    rate: float
    """Lists asked per second."""
    generator: np.random.Generator
    label: str
    """The action that answers a list."""
    context: tuple[str, ...]
    """What the task declares, and is told of a candidate where the shop knows it."""
    span: Span = field(default_factory=Span)
    _settling: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, moments: Iterator[Moment], seconds: float) -> None:
        """Play for so long or to the last moment. A moment that was begun is played to its end."""
        started, arrivals = 0.0, None
        async for moment in ahead(moments):
            if arrivals is None:  # finding the first moment takes a while: the clock starts with it
                started = self.clock.now()
                arrivals = Arrivals(self.rate, started, self.generator)
            if self.clock.now() >= started + seconds:
                break
            await self._play(moment, arrivals)
            self._show(moment, started)
        await self.settled()

    def _show(self, moment: Moment, started: float) -> None:
        counters.event_time.set(moment.time)
        counters.shop_hours.set((moment.time - self.span.first) / 3600 / max(self.clock.now() - started, 1e-9))

    async def settled(self) -> None:
        """Wait until every answer has come and its outcomes are in the outbox."""
        await asyncio.gather(*self._settling)

    async def _play(self, moment: Moment, arrivals: Arrivals) -> None:
        """Ask each list at its arrival; what was done is told once all of them were answered, also where the play is stopped."""
        self.span.add(moment.time)
        asked: list[asyncio.Task[Asked]] = []
        try:
            for candidates in moment.lists:
                arrival = arrivals.next()
                await self.clock.until(arrival)
                asked.append(asyncio.create_task(self.asker.ask(question(moment, candidates, self.context), arrival)))
        finally:
            task = asyncio.create_task(self._settle(moment, asked))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    async def _settle(self, moment: Moment, asked: list[asyncio.Task[Asked]]) -> None:
        answers = await asyncio.gather(*asked)
        requests: dict[str, list[str]] = {}
        for candidates, answer in zip(moment.lists, answers, strict=False):
            if candidates.bought != NOTHING:
                requests.setdefault(candidates.candidates[candidates.bought].item_id, []).append(answer.request_id)
        for event in moment.events:
            waiting = requests.get(event.item_id) if event.action == self.label else None
            request_id = waiting.pop(0) or None if waiting else None
            self.outbox.put(self.clock.now() + self.delays.draw(), msgspec.structs.replace(event, request_id=request_id))


def question(moment: Moment, candidates: CandidateList, context: tuple[str, ...]) -> Question:
    """The list as the shop sends it: each candidate's price, context and sampling correction, and nothing of what was bought."""
    body = {
        "user_id": moment.user_id,
        "session": moment.events[0].session,
        "at": datetime.fromtimestamp(moment.time, UTC).isoformat(),
        "candidates": [_told(candidate, context) for candidate in candidates.candidates],
    }
    return Question(
        user_id=moment.user_id,
        time=moment.time,
        body=body,
        bought=candidates.bought,
        sales=tuple(float(candidate.sold) for candidate in candidates.candidates),
        ages=tuple(round(candidate.age / DAY, 2) for candidate in candidates.candidates),
    )


def _told(candidate: Candidate, context: tuple[str, ...]) -> dict[str, object]:
    return {
        "item_id": candidate.item_id,
        "price": None if math.isnan(candidate.price) else candidate.price,
        "context": {name: getattr(candidate, name) for name in context if hasattr(candidate, name)},
        "log_odds": candidate.log_odds,
    }


async def ahead(moments: Iterator[Moment]) -> AsyncIterator[Moment]:
    """The same moments, made in a thread so that arrivals keep their time."""
    coming = asyncio.create_task(asyncio.to_thread(lambda: list(islice(moments, AHEAD))))
    while chunk := await coming:
        coming = asyncio.create_task(asyncio.to_thread(lambda: list(islice(moments, AHEAD))))
        for moment in chunk:
            yield moment
