"""What an impression's arrays must be like to be of use: the joiner asks before it keeps one, the updater before it learns one."""

from shared.messages import Impression

FLOAT, KEY = 4, 8
"""Bytes of a float32 and of a key."""


def misfit(impression: Impression) -> str:
    """Which array has not the length that the impression's items and inputs call for, in one sentence; empty where all have."""
    n, user, candidate = len(impression.items), len(impression.inputs.user), len(impression.inputs.candidate)
    history = len(impression.history) // KEY
    for name, values, empty in (
        ("scores", n, False),
        ("propensities", n, True),
        ("log_odds", n, True),
        ("user_features", user, False),
        ("candidate_features", n * candidate, False),
        ("history_weights", history, False),
    ):
        size = len(getattr(impression, name))
        if size != FLOAT * values and (size or not empty):
            return f"{name} has {size} bytes, {FLOAT * values} fit the impression's {n} items and its inputs"
    if len(impression.history) % KEY:
        return f"history has {len(impression.history)} bytes, which are no whole keys"
    return ""
