"""Play a shop's history: each basket's lists are asked first, then what the household bought is told, late."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from services.shopper import counters
from services.shopper.asking import Asker, Question
from services.shopper.log import Asked
from services.shopper.outbox import Outbox
from services.shopper.pace import Arrivals, Clock, Delays
from shared.datasets.candidates import DAY, CandidateList
from shared.datasets.complete_journey import Basket

AHEAD = 16
"""Baskets read at once, off the event loop."""


@dataclass(slots=True)
class Span:
    """Which event time was played."""

    first: float = 0.0
    last: float = 0.0

    def add(self, moment: float) -> None:
        """A basket at this event time was played."""
        self.first, self.last = self.first or moment, moment


@dataclass(slots=True)
class JourneyPlay:
    """One play: baskets in event-time order, one list an arrival, outcomes after a delay."""

    asker: Asker
    outbox: Outbox
    delays: Delays
    clock: Clock
    rate: float
    """Lists asked per second."""
    generator: np.random.Generator
    span: Span = field(default_factory=Span)
    _settling: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, baskets: Iterator[Basket], seconds: float) -> None:
        """Play for so long or to the last basket. A basket that was begun is played to its end."""
        started, arrivals = 0.0, None
        async for basket in ahead(baskets):
            if arrivals is None:  # finding the first basket takes a while: the clock starts with it
                started = self.clock.now()
                arrivals = Arrivals(self.rate, started, self.generator)
            if self.clock.now() >= started + seconds:
                break
            await self._play(basket, arrivals)
            self._show(basket, started)
        await self.settled()

    def _show(self, basket: Basket, started: float) -> None:
        now = basket.time.timestamp()
        counters.event_time.set(now)
        counters.shop_hours.set((now - self.span.first) / 3600 / max(self.clock.now() - started, 1e-9))

    async def settled(self) -> None:
        """Wait until every answer has come and its outcomes are in the outbox."""
        await asyncio.gather(*self._settling)

    async def _play(self, basket: Basket, arrivals: Arrivals) -> None:
        """Ask each list at its arrival; what was bought is told once all of them were answered, also where the play is stopped."""
        self.span.add(basket.time.timestamp())
        asked: list[asyncio.Task[Asked]] = []
        try:
            for candidates in basket.lists:
                moment = arrivals.next()
                await self.clock.until(moment)
                asked.append(asyncio.create_task(self.asker.ask(question(basket, candidates), moment)))
        finally:
            task = asyncio.create_task(self._settle(basket, asked))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    async def _settle(self, basket: Basket, asked: list[asyncio.Task[Asked]]) -> None:
        answers = await asyncio.gather(*asked)
        requests = {candidates.line: answer.request_id for candidates, answer in zip(basket.lists, answers, strict=False)}
        for line in range(len(basket.lines)):
            self.outbox.put(self.clock.now() + self.delays.draw(), basket.event(line, requests.get(line) or None))


def question(basket: Basket, candidates: CandidateList) -> Question:
    """The list as the shop sends it: each candidate's price, promotion and sampling correction, and nothing of what was bought."""
    body = {
        "user_id": basket.user_id,
        "session": basket.basket_id,
        "at": basket.time.isoformat(),
        "candidates": [
            {
                "item_id": candidate.item_id,
                "price": candidate.price,
                "context": {"display": candidate.display, "mailer": candidate.mailer},
                "log_odds": candidate.log_odds,
            }
            for candidate in candidates.candidates
        ],
    }
    return Question(
        user_id=basket.user_id,
        time=basket.time.timestamp(),
        body=body,
        bought=candidates.bought,
        sales=tuple(float(candidate.sold) for candidate in candidates.candidates),
        ages=tuple(round(candidate.age / DAY, 2) for candidate in candidates.candidates),
    )


async def ahead(baskets: Iterator[Basket]) -> AsyncIterator[Basket]:
    """The same baskets, made in a thread so that arrivals keep their time."""
    coming = asyncio.create_task(asyncio.to_thread(lambda: list(islice(baskets, AHEAD))))
    while chunk := await coming:
        coming = asyncio.create_task(asyncio.to_thread(lambda: list(islice(baskets, AHEAD))))
        for basket in chunk:
            yield basket
