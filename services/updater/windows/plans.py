"""Which plans count: the topic ``windows.<task>`` folded in its order, the same way by everybody who reads it.

Four rules decide. What is no plan is void. A plan below the highest epoch before it is void: its writer had been replaced. A plan
whose number does not follow the last one is void: two writers claimed at once. A plan that ``restarts`` from a bundle drops the
windows after that bundle from the lineage, and goes on from there under new numbers.
"""

from dataclasses import dataclass, field

import msgspec

from shared.decoding import decoded
from shared.errors import BadRecord
from shared.messages import WindowPlan

_decode = msgspec.msgpack.Decoder(WindowPlan).decode


@dataclass
class Plans:
    """The lineage of windows that made the newest weights, oldest first, as far back as the fold began."""

    window: int = 0
    """The last window planned."""
    epoch: int = 0
    """The highest epoch seen: whose plans count from here on."""
    next_offset: int = 0
    """Of ``windows.<task>``: what the fold reads next."""
    lineage: list[WindowPlan] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    """Window of the lineage → the offset after its plan, where a fold that begins with it goes on."""

    def read(self, offset: int, value: bytes | None) -> bool:
        """Take the topic's next record; whether it is a plan that counts."""
        try:
            plan = decoded(_decode, value)
        except BadRecord:
            self.next_offset = offset + 1
            return False
        return self.fold(offset, plan)

    def fold(self, offset: int, plan: WindowPlan) -> bool:
        """Take the next plan; whether it counts."""
        self.next_offset = offset + 1
        if plan.epoch < self.epoch:
            return False
        self.epoch = plan.epoch
        if plan.window != self.window + 1:
            return False
        if plan.restarts:
            start = window_of(plan.restarts)
            self.lineage = [earlier for earlier in self.lineage if earlier.window <= start]
        self.lineage.append(plan)
        self.ends[plan.window] = self.next_offset
        self.window = plan.window
        return True

    def after(self, window: int) -> list[WindowPlan]:
        """The lineage's windows after this one: what a learner at its end has still to learn."""
        return [plan for plan in self.lineage if plan.window > window]

    def forget(self, window: int) -> None:
        """Drop what was learned up to this window: a checkpoint holds it."""
        self.lineage = self.after(window)
        self.ends = {later: end for later, end in self.ends.items() if later >= window}

    def restarted_from(self) -> str:
        """The bundle that the newest restore went back to; empty where none did."""
        return next((plan.restarts for plan in reversed(self.lineage) if plan.restarts), "")


def window_of(version: str) -> int:
    """The window that a bundle's version names."""
    return int(version.split("-")[0])


def replanned(
    task: str, plans: Plans, version: str, without: frozenset[int], *, planned_at: float, skipped: bool = False
) -> list[WindowPlan]:
    """The plans that take learning back to a bundle's checkpoint and through the windows after it again, without some; with
    ``skipped`` also through those that the breaker had skipped.

    They have the newest epoch: whoever writes them must have claimed it, so that the running updater finds itself fenced off,
    starts again, and follows them.

    Raises:
        ValueError: a window to leave out is not among those after the bundle.
    """
    again = plans.after(window_of(version))
    if unknown := without - {plan.window for plan in again}:
        raise ValueError(f"no window {sorted(unknown)} among those after {version}")
    number, epoch = plans.window + 1, plans.epoch
    first = WindowPlan(task=task, window=number, epoch=epoch, ranges={}, planned_at=planned_at, restarts=version)
    return [first] + [
        WindowPlan(
            task=task,
            window=number + n,
            epoch=epoch,
            ranges=plan.ranges,
            catalogues=plan.catalogues,
            planned_at=plan.planned_at,
            without=plan.window in without or (plan.without and not (skipped and plan.verdict.skips)),
            verdict=msgspec.structs.replace(plan.verdict, skips="") if skipped else plan.verdict,
            race=plan.race,
        )
        for n, plan in enumerate(again, start=1)
    ]
