"""Which of a user's events count: a retry counts once, what is too fast to be human not at all, and a robot's not for items.

Decided in the order of the log and from the user's own row alone, so that a re-read decides alike.
"""

from math import sqrt
from typing import Literal, Self

import msgspec

from shared.features.decay import SECOND
from shared.messages import REMEMBERED_EVENTS, REMEMBERED_S

MEMORY = REMEMBERED_S * SECOND

WINDOW, AFTER = 3_600 * SECOND, 86_400 * SECOND
"""Time over which a user's events are judged together, and for which a robot is one after the event that showed it."""
LEAST, SHARE, CERTAIN = 40, 0.97, 4.0
"""A robot has so many events in a window, more than this share of them acts, and so many standard errors more than people have."""

Verdict = Literal["count", "retry", "too_fast", "robot"]


class Guard(msgspec.Struct, array_like=True):
    """What is remembered of one user, in the private tail of the user's row."""

    recent: dict[int, int] = {}
    """Hashes of event ids → event time in microseconds, in the order of arrival."""
    level: float = 0.0
    """Events in the bucket that leaks ``per_minute`` a minute."""
    newest: int = 0
    """Newest event time, microseconds."""
    window: int = 0
    """The window of event time that is counted, in windows since 1970."""
    events: int = 0
    """In that window; late ones count as of it."""
    acts: int = 0
    """Those of them that are no views."""
    robot: int = 0
    """Event time until which this is a robot, microseconds."""

    def judge(self, event: int, time: int, per_minute: float, act: bool = False, usual: float = 1.0) -> Verdict:
        """Whether an event counts; it is remembered only if it does, and a robot's is.

        Args:
            event: hash of the event's id.
            time: event time in microseconds.
            per_minute: events that count within a minute; 0 for no limit.
            act: whether it is more than a view.
            usual: share of people's events that are acts; at 1 nobody is a robot.
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
        while recent[first := next(iter(recent))] < oldest or len(recent) > REMEMBERED_EVENTS:
            del recent[first]
            if not recent:
                break
        return "robot" if usual < 1 and self._robot(time, act, usual) else "count"

    def _robot(self, time: int, act: bool, usual: float) -> bool:
        """Count the event, and say what its user is: a binomial test of the window's share of acts against people's."""
        if time // WINDOW > self.window:
            self.window, self.events, self.acts = time // WINDOW, 0, 0
        self.events += 1
        self.acts += act
        share = self.acts / self.events
        if self.events >= LEAST and share > SHARE and share - usual > CERTAIN * sqrt(usual * (1 - usual) / self.events):
            self.robot = max(self.robot, time + AFTER)
        return time < self.robot

    @classmethod
    def load(cls, tail: bytes) -> Self:
        """As :meth:`dump` left it; a row that history made has none."""
        return msgspec.msgpack.decode(tail, type=cls) if tail else cls()

    def dump(self) -> bytes:
        """The tail's bytes."""
        return msgspec.msgpack.encode(self)
