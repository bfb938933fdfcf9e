"""Which of a user's events count: a retry counts once, and what is too fast to be human not at all.

Decided in the order of the log and from the user's own row alone, so that a re-read decides alike.
"""

from typing import Literal, Self

import msgspec

from shared.features.decay import SECOND

MEMORY_EVENTS, MEMORY = 256, 600 * SECOND
"""A retry is recognised within the user's last 256 events and 10 minutes of the user's event time."""

Verdict = Literal["count", "retry", "too_fast"]


class Guard(msgspec.Struct, array_like=True):
    """What is remembered of one user, in the private tail of the user's row."""

    recent: dict[int, int] = {}
    """Hashes of event ids → event time in microseconds, in the order of arrival."""
    level: float = 0.0
    """Events in the bucket that leaks ``per_minute`` a minute."""
    newest: int = 0
    """Newest event time, microseconds."""

    def judge(self, event: int, time: int, per_minute: float) -> Verdict:
        """Whether an event counts; it is remembered only if it does.

        Args:
            event: hash of the event's id.
            time: event time in microseconds.
            per_minute: events that count within a minute; 0 for no limit.
        """
        recent = self.recent
        if event in recent:
            return "retry"
        if per_minute:
            passed = max(0, time - self.newest)
            level = max(0.0, self.level - passed * per_minute / (60 * SECOND))
            if level + 1 > per_minute:
                return "too_fast"
            self.level = level + 1
        recent[event] = time
        if time > self.newest:
            self.newest = time
        oldest = self.newest - MEMORY
        while recent[first := next(iter(recent))] < oldest or len(recent) > MEMORY_EVENTS:
            del recent[first]
            if not recent:
                break
        return "count"

    @classmethod
    def load(cls, tail: bytes) -> Self:
        """As :meth:`dump` left it; a row that history made has none."""
        return msgspec.msgpack.decode(tail, type=cls) if tail else cls()

    def dump(self) -> bytes:
        """The tail's bytes."""
        return msgspec.msgpack.encode(self)
