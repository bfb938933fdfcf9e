"""How often a user bought a product over all time: what a shop can send as context beside decayed counters, which forget."""

from dataclasses import dataclass, field

from shared.datasets.candidates import Candidate

COUNTED = ("repeat_times", "repeat_share", "repeat_since", "repeat_due")
"""What is counted in baskets."""
CONTEXT = (*COUNTED, "repeat_known", "repeat_near", "repeat_lately")
"""All there is."""
NEVER = 1_000.0
"""Baskets since a product that was never bought."""
HALF = 14 * 86_400.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Repeated(Candidate):
    """A candidate with the user's own past of it, in baskets."""

    repeat_times: float
    """Baskets of the user that held it."""
    repeat_share: float
    """Their share of the user's baskets."""
    repeat_since: float
    """The user's baskets since the last that held it; :data:`NEVER` where none did."""
    repeat_due: float
    """Baskets since, over the mean gap between two that held it: 1 where it is due; 0 where it was bought less than twice."""
    repeat_known: float
    """1 where the user bought it before."""
    repeat_near: float
    """How near to its usual gap, (0, 1]: 1 where it is due, a half at half and at twice the gap; 0 where bought less than twice."""
    repeat_lately: float
    """1 just after the last basket that held it, a half :data:`HALF` later; 0 where none did."""


@dataclass(slots=True)
class _Product:
    times: int
    first: int
    last: int
    time: float
    """Event time of the last."""


@dataclass(slots=True)
class _User:
    baskets: int = 0
    products: dict[str, _Product] = field(default_factory=dict)


class Repeats:
    """Every user's baskets so far."""

    def __init__(self) -> None:
        self._users: dict[str, _User] = {}

    def products(self, user_id: str) -> dict[str, int]:
        """How many of the user's baskets held each product."""
        user = self._users.get(user_id)
        return {} if user is None else {name: product.times for name, product in user.products.items()}

    def add(self, user_id: str, items: frozenset[str], time: float) -> None:
        """Take in a basket, bought at this event time."""
        user = self._users.setdefault(user_id, _User())
        for item in items:
            product = user.products.setdefault(item, _Product(0, user.baskets, user.baskets, time))
            product.times, product.last, product.time = product.times + 1, user.baskets, time
        user.baskets += 1

    def of(self, user_id: str, candidate: Candidate, time: float) -> Repeated:
        """The candidate with what this user's baskets so far say of it at this event time."""
        user = self._users.get(user_id) or _User()
        product = user.products.get(candidate.item_id)
        times = product.times if product else 0
        since = float(user.baskets - product.last) if product else NEVER
        gap = (product.last - product.first) / (times - 1) if product and times > 1 else 0.0
        due = since / gap if gap else 0.0
        return Repeated(
            item_id=candidate.item_id, price=candidate.price, display=candidate.display, mailer=candidate.mailer,
            log_odds=candidate.log_odds, sold=candidate.sold, age=candidate.age, repeat_times=float(times),
            repeat_share=times / max(user.baskets, 1), repeat_since=since, repeat_due=due,
            repeat_known=float(times > 0), repeat_near=min(due, 1 / due) if due else 0.0,
            repeat_lately=0.5 ** ((time - product.time) / HALF) if product else 0.0,
        )  # fmt: skip
