"""Whether learning goes on: paused and resumed by hand, and what the breaker had skipped."""

from dataclasses import dataclass

from services.updater.guards import orders
from services.updater.guards.orders import Order
from services.updater.windows.plans import Plans
from shared.bundles.storage import Storage


@dataclass(frozen=True)
class Learning:
    """How it stands."""

    stopped: str
    """Why the newest window was skipped; empty: it is learned."""
    since: int
    """The first of the windows that have been skipped without a break since; 0 where none is."""
    paused: bool
    """As the operator ordered."""
    skipped: dict[str, int]
    """Windows that were skipped, by reason, as far back as the plans go."""
    suspects: tuple[str, ...]
    """Items that bots seem to push, by the newest plan."""


def pause(storage: Storage, now: float) -> None:
    """Have the updater skip the windows that come; it sees the order within seconds."""
    orders.give(storage, Order(paused=True, at=now))


def resume(storage: Storage, now: float) -> None:
    """Have it learn again, whatever it took for strange: what comes is the new usual."""
    orders.give(storage, Order(paused=False, at=now))


def status(storage: Storage, plans: Plans) -> Learning:
    """How learning stands by the plans, and what was ordered."""
    judged = [plan for plan in plans.lineage if plan.ranges]
    skipped: dict[str, int] = {}
    for plan in judged:
        if plan.verdict.skips and plan.without:
            skipped[plan.verdict.skips] = skipped.get(plan.verdict.skips, 0) + 1
    since = 0
    for plan in reversed(judged):
        if not (plan.verdict.skips and plan.without):
            break
        since = plan.window
    newest = judged[-1].verdict if judged else None
    return Learning(
        stopped=newest.skips if newest and since else "",
        since=since,
        paused=orders.order(storage).paused,
        skipped=skipped,
        suspects=newest.suspects if newest else (),
    )
