"""Ask for rankings in an open loop: an arrival is sent when it comes, however slow the answers are."""

from dataclasses import dataclass, field
from typing import Any

from services.shopper import counters
from services.shopper.doors import Doors, Ranking, Shed
from services.shopper.log import Asked, Log
from services.shopper.pace import Clock
from shared.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Question:
    """A list to be ranked for a shopper, and which of it will be bought."""

    user_id: str
    time: float
    """Event time, seconds since 1970."""
    body: dict[str, Any]
    bought: int = -1
    sales: tuple[float, ...] = ()
    ages: tuple[float, ...] = ()

    @property
    def bought_id(self) -> str:
        """The bought product; empty where nobody buys."""
        return str(self.body["candidates"][self.bought]["item_id"]) if self.bought >= 0 else ""


@dataclass(slots=True)
class Asker:
    """Sends questions, never more than a bound at a time, and logs what came of each."""

    play: str
    doors: Doors
    log: Log
    clock: Clock
    bound: int
    waiting: int = 0
    seen: set[str] = field(default_factory=set)

    async def ask(self, question: Question, scheduled: float, *, probe: bool = False) -> Asked:
        """Ask once and log it. Never raises for a door: what went wrong is the line's ``status``."""
        sent, answer, status, detail = self.clock.now(), None, "ok", ""
        try:
            answer = await self._bounded(question, "explain" if probe else "rank")
        except Shed as error:
            status, detail = "shed", str(error)
        except Unavailable as error:
            status, detail = "failed", str(error)
        line = self._line(question, answer, status, detail, scheduled, sent, probe)
        self.log.write(line)
        self._count(line)
        return line

    async def _bounded(self, question: Question, door: str) -> Ranking:
        if self.waiting >= self.bound:
            raise Shed(f"{self.bound} requests are waiting for an answer")
        self.waiting += 1
        counters.in_flight.set(self.waiting)
        try:
            return await self.doors.rank(question.body, door)
        finally:
            self.waiting -= 1
            counters.in_flight.set(self.waiting)

    def _line(
        self, question: Question, answer: Ranking | None, status: str, detail: str, scheduled: float, sent: float, probe: bool
    ) -> Asked:
        position = -1
        if answer and question.bought >= 0:
            position = next((item.position for item in answer.items if item.item_id == question.bought_id), -1)
        return Asked(
            play=self.play,
            user_id=question.user_id,
            time=question.time,
            scheduled_wall=scheduled,
            sent_wall=sent,
            finished_wall=self.clock.now(),
            status=status,
            detail=detail,
            request_id=answer.request_id if answer else "",
            bundle=answer.bundle if answer else "",
            window=answer.window if answer else 0,
            degraded=answer.degraded if answer else False,
            size=len(question.body["candidates"]),
            bought=question.bought,
            position=position,
            sales=question.sales,
            ages=question.ages,
            probe=probe,
        )

    def _count(self, line: Asked) -> None:
        counters.requests.labels("probe" if line.probe else line.status).inc()
        if line.status != "ok":
            return
        if not line.probe:
            counters.rank_seconds.observe(line.finished_wall - line.scheduled_wall)
        counters.window.set(line.window)
        if line.bundle not in self.seen:
            self.seen.add(line.bundle)
            counters.bundles_seen.inc()
