"""Both topics of a partition in step: neither is read far ahead of the other, so that what waits is what the rule lets wait."""

from collections import deque
from collections.abc import Sequence

from services.joiner.join import Partition
from shared.decoding import Record

LEAD_MS = 5_000
"""How far ahead of the other topic a poll may begin. Nothing waits for so little while both are read to their ends."""

Poll = Sequence[Record]


class Pace:
    """The polls of one partition that came too early, not yet decoded: after an outage one topic is read faster than the other.

    A poll that waits says how far its topic was read: to just before its first record. So of two that wait one may always be taken.
    """

    def __init__(self, partition: Partition) -> None:
        self._partition, self._skew = partition, partition.rule.skew
        self.shown: deque[Poll] = deque()
        """Of ``impressions``."""
        self.answered: deque[Poll] = deque()
        """Of ``behaviour``."""

    @property
    def waits(self) -> bool:
        """Whether a poll waits: only time can let it through where the other topic is idle."""
        return bool(self.shown or self.answered)

    def take(self) -> Poll | None:
        """The next poll that may be read now."""
        partition, lead = self._partition, self._skew + LEAD_MS
        if self.shown:
            partition.all_shown_before(_begins(self.shown) - self._skew)
        if self.answered:
            partition.all_answered_before(_begins(self.answered) - self._skew)
        if self.shown and _begins(self.shown) <= partition.answered_time + lead:
            return self.shown.popleft()
        if self.answered and _begins(self.answered) <= partition.shown_time + lead:
            return self.answered.popleft()
        return None


def _begins(polls: deque[Poll]) -> int:
    return int(polls[0][0].timestamp)
