"""Whether a window fits: memory and disk as formulas of rate × window."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from shared.errors import BadSettings

BASE_MB = 110
"""Of the process before it reads; ``tests/bench/joiner.py`` measures this and the next."""
BYTES_WAITING = 350
"""Memory of an impression that waits, its place in the index and its paid labels with it."""
MB = 1 << 20


@dataclass(frozen=True)
class Load:
    """What one worker carries.

    Args:
        rate: impressions a second, at the peak, of all the partitions that this worker may come to own.
        window: seconds in which an outcome may answer an impression.
        impression_bytes: of an impression on its topic, on average.
    """

    rate: float
    window: float
    impression_bytes: int

    @property
    def waiting(self) -> float:
        """Impressions that wait."""
        return self.rate * self.window

    @property
    def memory_mb(self) -> float:
        return BASE_MB + self.waiting * BYTES_WAITING / MB

    def disk_mb(self, partitions: int, segment_bytes: int) -> float:
        """With a file a partition that is not yet let go."""
        return (self.waiting * self.impression_bytes + partitions * segment_bytes) / MB


def require_fit(load: Load, *, memory_mb: float, folder: Path, partitions: int, segment_bytes: int) -> None:
    """Make sure that the load fits this worker.

    Raises:
        BadSettings: says which does not, by how much, and what to change.
    """
    rate = f"{load.rate:g} impressions/s over a window of {load.window:g} s"
    if load.memory_mb > memory_mb:
        raise BadSettings(
            f"{rate} take {load.memory_mb:.0f} MB of memory, above FRESHET_JOINER_MEMORY_MB={memory_mb:g}; "
            "shorten the task's attribution window, raise the limit, or share the partitions among more workers and lower "
            "FRESHET_JOINER_RATE to what each then carries."
        )
    folder.mkdir(parents=True, exist_ok=True)
    needed, free = load.disk_mb(partitions, segment_bytes), shutil.disk_usage(folder).free / MB
    if needed > free:
        raise BadSettings(
            f"{rate} take {needed:.0f} MB of disk, and {folder} has {free:.0f} MB free; "
            "shorten the task's attribution window or point FRESHET_JOINER_FOLDER at a larger disk."
        )
