"""Cuts the stream of examples into windows: a window closes some time after its first example, or when it has rows enough."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.messages import Example, WindowPlan


@dataclass(frozen=True, slots=True)
class Read:
    """One record of ``examples.<task>``."""

    partition: int
    offset: int
    example: Example | None
    """``None`` where the record could not be decoded: its offset passes, and nothing is learned."""


class Planner:
    """Holds what was read since the last cut. Time comes in as an argument, in seconds."""

    def __init__(self, positions: Mapping[int, int], *, window_s: float, window_rows: int) -> None:
        """Begin at these offsets, partition by partition."""
        self._positions = dict(positions)
        self._window_s, self._window_rows = window_s, window_rows
        self._reads: list[Read] = []
        self._rows, self._since = 0, 0.0

    def add(self, read: Read, now: float) -> None:
        """Take the next record of its partition."""
        if not self._reads:
            self._since = now
        self._reads.append(read)
        self._rows += len(read.example.impression.items) if read.example else 0

    def wait(self, now: float) -> float | None:
        """Seconds until the window closes, at least 0; ``None`` while it is empty."""
        if not self._reads:
            return None
        return 0.0 if self._rows >= self._window_rows else max(0.0, self._since + self._window_s - now)

    def cut(self) -> tuple[dict[str, tuple[int, int]], list[Read]]:
        """Close the window: the plan's ranges, and its records in plan order (partition, then offset)."""
        reads = sorted(self._reads, key=lambda read: (read.partition, read.offset))
        ranges = {}
        for read in reads:
            first = self._positions.get(read.partition, 0)
            ranges[str(read.partition)] = (first, read.offset + 1)
        self._positions |= {int(partition): end for partition, (_, end) in ranges.items()}
        self._reads, self._rows = [], 0
        return ranges, reads


def advanced(offsets: Mapping[str, int], plan: WindowPlan) -> dict[str, int]:
    """The next offsets once this plan is learned.

    Raises:
        ValueError: the plan does not begin where the one before ended, so that records would be lost or learned twice.
    """
    for partition, (first, _) in plan.ranges.items():
        if offsets.get(partition, first) != first:
            raise ValueError(f"window {plan.window} begins at offset {first} of partition {partition}, not at {offsets[partition]}")
    return dict(offsets) | {partition: end for partition, (_, end) in plan.ranges.items()}
