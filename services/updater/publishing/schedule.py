"""When what is published: rows soon, the dense part less often, a full bundle now and then, a checkpoint with some of those."""

from dataclasses import dataclass
from typing import NamedTuple

from services.updater.settings import UpdaterSettings


class Due(NamedTuple):
    """What the next bundle carries."""

    full: bool
    dense: bool
    checkpoint: bool


@dataclass
class Schedule:
    """The tempos. Times come in as arguments, in seconds of one clock."""

    publish_s: float
    dense_s: float
    full_s: float
    full_deltas: int
    checkpoint_s: float
    deltas: int = 0
    """Since the last full bundle."""
    last: float = float("-inf")
    last_dense: float = float("-inf")
    last_full: float = float("-inf")
    last_checkpoint: float = float("-inf")

    @classmethod
    def of(cls, settings: UpdaterSettings) -> "Schedule":
        """The settings' tempos; everything is due at first."""
        return cls(settings.publish_s, settings.dense_s, settings.full_s, settings.full_deltas, settings.checkpoint_s)

    def due(self, now: float) -> Due | None:
        """What should be published now; ``None`` for nothing yet."""
        if now < self.last + self.publish_s:
            return None
        full = now >= self.last_full + self.full_s or self.deltas >= self.full_deltas
        return Due(full, full or now >= self.last_dense + self.dense_s, full and now >= self.last_checkpoint + self.checkpoint_s)

    def done(self, due: Due, now: float) -> None:
        """Note that it was handed to publishing."""
        self.last = now
        self.deltas = 0 if due.full else self.deltas + 1
        self.last_dense = now if due.dense else self.last_dense
        self.last_full = now if due.full else self.last_full
        self.last_checkpoint = now if due.checkpoint else self.last_checkpoint
