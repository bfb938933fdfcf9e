"""The plans of a project as they stand in Valkey, and the rows read through them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from shared.errors import BadSettings
from shared.features.plan import HEADER_BYTES, Plan, Words, convert

USER, ITEM, CATALOGUE = "user_activity", "item_activity", "catalogue"
VIEWS = (USER, ITEM, CATALOGUE)


def plan_key(project: str, view: str, identifier: int | None = None) -> str:
    """Where a plan is stored; without an id, where the current plan's id is."""
    return f"plan:{project}:{view}" if identifier is None else f"plan:{project}:{view}:{identifier}"


def store_plan(client: Any, plan: Plan) -> None:
    """Make a plan the current one of its view; the earlier ones stay. ``client`` is a ``redis.Redis``."""
    client.set(plan_key(plan.project, plan.view, plan.id), plan.to_json())
    client.set(plan_key(plan.project, plan.view), plan.id)


class UnknownPlan(Exception):
    """A row follows a plan that was applied after the plans were loaded: load them again."""


class View:
    """One view's current plan and all its earlier ones.

    Args:
        current: what rows are turned into.
        history: every plan ever applied, in any order.
    """

    def __init__(self, current: Plan, history: Iterable[Plan] = ()) -> None:
        self.plan = current
        self.known = {plan.id: plan for plan in (*history, current)}

    def upgrade(self, value: bytes) -> bytes:
        """The stored row, tail included, as the current plan has it.

        Raises:
            UnknownPlan: it follows a plan that is not loaded.
        """
        if value[16:20] == self.plan.stamp:
            return value
        if len(value) < HEADER_BYTES or (old := self.known.get(int.from_bytes(value[16:20], "little"))) is None:
            raise UnknownPlan(self.plan.view)
        return convert(value, old, self.plan)

    def records(self, values: Sequence[bytes | None]) -> bytes:
        """Headers and records of stored rows, joined, without tails; defaults where there is none."""
        size, stamp, default = self.plan.size, self.plan.stamp, self.plan.default
        return b"".join(
            [default if v is None else v[:size] if v[16:20] == stamp else self.upgrade(v)[:size] for v in values],
        )

    def words(self, values: Sequence[bytes | None]) -> Words:
        """Stored rows as numbers, read-only. Shape (n, plan.words)."""
        return np.frombuffer(self.records(values), np.float64).reshape(-1, self.plan.words)


class Plans:
    """The plans of a project: what writers and readers agree on."""

    def __init__(self, views: dict[str, View]) -> None:
        self.views = views

    @property
    def user(self) -> View:
        """What users do."""
        return self.views[USER]

    @property
    def item(self) -> View:
        """What is done to items."""
        return self.views[ITEM]

    @property
    def catalogue(self) -> View:
        """What the shop says of its items."""
        return self.views[CATALOGUE]

    @classmethod
    def of(cls, plans: Iterable[Plan]) -> "Plans":
        """Plans without a history."""
        return cls({plan.view: View(plan) for plan in plans})

    @classmethod
    async def load(cls, client: Any, project: str) -> "Plans":
        """The plans as ``feast apply`` left them; ``client`` is a ``redis.asyncio.Redis`` that returns bytes.

        Raises:
            BadSettings: nothing was applied yet.
        """
        views: dict[str, View] = {}
        for view in VIEWS:
            current = await client.get(plan_key(project, view))
            if current is None:
                raise BadSettings(f"there is no plan of {view} in project {project!r}; run `feast -c feature_repo apply` first")
            names = [name async for name in client.scan_iter(match=f"{plan_key(project, view)}:*", count=1000)]
            plans = [Plan.from_json(data) for data in await client.mget(names)]
            views[view] = View(next(plan for plan in plans if plan.id == int(current)), plans)
        return cls(views)
