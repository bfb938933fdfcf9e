"""For tests of features: the declared plans without Feast, batches of events, and a fold that knows nothing of the real one."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from shared.features.events import Events, columns
from shared.features.plan import Plan
from shared.features.plans import Plans
from shared.messages import Behaviour

START = 1_700_000_000.0


def declared_plans() -> list[Plan]:
    """The plans of ``feature_repo`` as Feast compiled them; a contract test holds the file to the definitions."""
    return msgspec.json.decode(Path(__file__).with_name("plans.json").read_bytes(), type=list[Plan])


def plans() -> Plans:
    """The same, as services load them."""
    return Plans.of(declared_plans())


def event(n: int, **fields: object) -> Behaviour:
    """The n-th event of a test; what is not given is as dull as can be."""
    dull = {"event_id": f"e{n}", "user_id": "ann", "item_id": "tea", "action": "purchase", "time": "2023-11-14T22:13:20Z"}
    return msgspec.convert(dull | fields, Behaviour, strict=False)


def at(events: Sequence[Behaviour], seconds: Sequence[float]) -> Events:
    """Events as columns, at these seconds after :data:`START`."""
    return columns(events, [round((START + second) * 1e6) for second in seconds])


def naive_sum(times: Iterable[float], weights: Iterable[float], tau: float, now: float) -> float:
    """A decayed sum by its definition; all in seconds."""
    return math.fsum(w * math.exp(-(now - t) / tau) for t, w in zip(times, weights, strict=True))
