"""A steady load for measuring: rankings and behaviour of random users and items, at rates that do not depend on the shop."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

import numpy as np

from services.shopper.asking import Asker, Question
from services.shopper.outbox import Outbox
from services.shopper.pace import Arrivals, Clock
from shared.messages import Behaviour

USERS = 5_000
LIST = 10
"""Candidates of a request: as many as in the demo's lists."""
BUYS = 0.5
"""Share of rankings that an outcome follows."""
WITHIN, AFTER = (0.05, 0.8), (1.2, 6.0)
"""Seconds from the answer to the outcome: half of them inside a WAIT of one second, half after it."""


@dataclass(slots=True)
class SyntheticPlay:
    """Rankings at one rate, and behaviour at another that includes the rankings' outcomes."""

    asker: Asker
    outbox: Outbox
    clock: Clock
    items: Sequence[str]
    generator: np.random.Generator
    play: str
    event_clock: bool = False
    """Send ``at``: the services run with ``FRESHET_CLOCK=event``."""
    _number: Iterator[int] = field(default_factory=count)
    _asking: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, rate: float, behaviour: float, until: float) -> None:
        """Play until a moment of the clock: ``rate`` rankings and ``behaviour`` events a second."""
        start = self.clock.now()
        plain = max(behaviour - BUYS * rate, 1e-9)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rank(Arrivals(rate, start, self.generator), until))
            group.create_task(self._behave(Arrivals(plain, start, self.generator), until))
        await self.settled()

    async def settled(self) -> None:
        """Wait until every answer has come and its outcome is in the outbox."""
        await asyncio.gather(*self._asking)

    async def _rank(self, arrivals: Arrivals, until: float) -> None:
        while (moment := arrivals.next()) < until:
            await self.clock.until(moment)
            task = asyncio.create_task(self._ask(moment))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _behave(self, arrivals: Arrivals, until: float) -> None:
        while (moment := arrivals.next()) < until:
            await self.clock.until(moment)
            self.outbox.put(moment, self._event(self._user(), self._item(), "view"))

    async def _ask(self, moment: float) -> None:
        question = self.question(self.clock.now())
        answer = await self.asker.ask(question, moment)
        if answer.status == "ok" and self.generator.random() < BUYS:
            delay = self.generator.uniform(*(WITHIN if self.generator.random() < 0.5 else AFTER))
            event = self._event(question.user_id, question.bought_id, "purchase", answer.request_id)
            self.outbox.put(self.clock.now() + delay, event)

    def question(self, now: float) -> Question:
        """A list of random items for a random user; the first is the one that may be bought."""
        drawn = self.generator.choice(len(self.items), LIST, replace=False)
        body: dict[str, object] = {"user_id": self._user(), "candidates": [{"item_id": self.items[row]} for row in drawn]}
        if self.event_clock:
            body["at"] = datetime.fromtimestamp(now, UTC).isoformat()
        return Question(user_id=str(body["user_id"]), time=now, body=body, bought=0)

    def _event(self, user: str, item: str, action: str, request_id: str | None = None) -> Behaviour:
        return Behaviour(
            event_id=f"{self.play}-{next(self._number)}",
            user_id=user,
            item_id=item,
            action=action,
            time=datetime.fromtimestamp(self.clock.now(), UTC),
            request_id=request_id,
        )

    def _user(self) -> str:
        return f"load-{self.generator.integers(USERS)}"

    def _item(self) -> str:
        return self.items[int(self.generator.integers(len(self.items)))]
