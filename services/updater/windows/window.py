"""A window: what is learned in one go, wherever it comes from."""

from dataclasses import dataclass, field

from shared.bundles.manifest import File
from shared.messages import Example, WindowPlan


@dataclass(frozen=True, slots=True)
class Window:
    """A plan with the examples that it names, in plan order; second deliveries are still among them."""

    plan: WindowPlan
    examples: list[Example]
    plans_offset: int = 0
    """Of ``windows.<task>``: the offset after its plan."""
    replayed: bool = False
    """Planned by an earlier life."""


@dataclass
class Ledger:
    """What was learned since the last bundle, for the next one's manifest."""

    first: int = 0
    last: int = 0
    outcomes: dict[str, list[int]] = field(default_factory=dict)
    """Partition of ``behaviour`` → offsets of outcomes inside their example."""
    corrections: dict[str, list[int]] = field(default_factory=dict)
    catalogues: list[File] = field(default_factory=list)
    trace_id: str = ""
    """Of the last window that is followed."""

    def add(self, window: int, learned: list[Example], joined: list[File], trace_id: str = "") -> None:
        """Note a window, the examples that were learned from it, the catalogue files that joined with it, and its trace."""
        self.trace_id = trace_id or self.trace_id
        self.first, self.last = self.first or window, window
        self.catalogues += joined
        for example in learned:
            offsets = self.outcomes if example.kind == "list" else self.corrections
            for outcome in example.outcomes:
                offsets.setdefault(str(outcome.partition), []).append(outcome.offset)
