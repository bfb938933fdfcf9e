"""Writes ``tests/plans.json``, the declared plans as Feast compiles them: ``python -m tests.contracts.plans``."""

from pathlib import Path

import msgspec

from shared.features.plan import Plan

COMMITTED = Path(__file__).parent.parent / "plans.json"


def compiled() -> list[Plan]:
    """The plans of ``feature_repo``."""
    from feature_repo.definitions import catalogue, item_activity, user_activity
    from shared.features.online_store import compile_plan

    return [compile_plan("shop", view) for view in (user_activity, item_activity, catalogue)]


if __name__ == "__main__":
    COMMITTED.write_bytes(msgspec.json.format(msgspec.json.encode(compiled()), indent=1) + b"\n")
