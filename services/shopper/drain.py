"""After a play: keep looking which bundle answers, so that what was told last is also seen to be learned."""

from datetime import UTC, datetime
from typing import Literal

from services.shopper.asking import Asker, Question
from services.shopper.pace import Clock

PAUSE = 0.1
"""Seconds between two looks; freshness is no finer than this here."""


async def drain(asker: Asker, clock: Clock, item: str, kind: Literal["wall", "event"], event_time: float, seconds: float) -> None:
    """Ask for an explanation of one item every :data:`PAUSE` seconds: it names the bundle, and makes no impression."""
    body: dict[str, object] = {"user_id": "probe", "candidates": [{"item_id": item}]}
    now = clock.now()
    if kind == "event":
        body["at"] = datetime.fromtimestamp(event_time or now, UTC).isoformat()
    question = Question(user_id="probe", time=event_time or now, body=body)
    end = now + seconds
    while clock.now() < end:
        await asker.ask(question, clock.now(), probe=True)
        await clock.until(clock.now() + PAUSE)
    asker.log.flush()
