"""Which origins were passed over: seen, so that none of them is learned later, and never learned."""

from collections.abc import Mapping

from shared.messages import Origin
from shared.origins import Origins

KEPT = 32
"""Gaps that are remembered of each partition, the newest; a late outcome comes within the attribution window."""


class Gaps:
    """Runs of origins in windows that were skipped. A late outcome of such a list is a plain positive: nothing was paid for it."""

    def __init__(self, runs: Mapping[tuple[str, int], list[tuple[int, int]]] | None = None) -> None:
        self.runs: dict[tuple[str, int], list[tuple[int, int]]] = dict(runs or {})
        """(topic, partition) → first and last offset of each run, oldest first."""

    def add(self, origin: Origin, before: Origins) -> None:
        """Note an origin that is passed over, given what was seen before it."""
        place = origin.topic, origin.partition
        runs = self.runs.setdefault(place, [])
        if runs and runs[-1][1] == before.highest.get(place):
            runs[-1] = runs[-1][0], origin.offset
        else:
            runs.append((origin.offset, origin.offset))
            del runs[:-KEPT]

    def holds(self, origin: Origin) -> bool:
        """Whether it was passed over."""
        return any(first <= origin.offset <= last for first, last in self.runs.get((origin.topic, origin.partition), ()))

    def state(self) -> dict[str, list[tuple[int, int]]]:
        """To keep in a checkpoint: ``topic/partition`` → runs."""
        return {f"{topic}/{partition}": list(runs) for (topic, partition), runs in sorted(self.runs.items())}

    @classmethod
    def load(cls, state: Mapping[str, list[tuple[int, int]]]) -> "Gaps":
        """From what was kept."""
        split = {name: name.rsplit("/", 1) for name in state}
        return cls({(topic, int(partition)): list(state[name]) for name, (topic, partition) in split.items()})
