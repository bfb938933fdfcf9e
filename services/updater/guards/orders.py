"""What the operator orders, and what the breaker knows, in the storage beside the bundles. No torch: operators read it too.

<task>/learning.json    the operator's order; `freshet windows pause` and `resume` write it
<task>/breaker.json     what the breaker knows, once in a while, so that a restart goes on from it
"""

from typing import Any

import msgspec

from shared.bundles.objects import Lost
from shared.bundles.storage import Storage
from shared.messages import Inputs


class Order(msgspec.Struct, frozen=True):
    """What the operator wants."""

    paused: bool = False
    at: float = 0.0
    """Seconds since 1970; a newer ``resume`` is a new one."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a breaker knows, to go on from after a restart."""

    inputs: Inputs
    signals: dict[str, dict[str, Any]]
    items: dict[str, tuple[float, float, bool]]
    names: dict[str, str]
    reason: str = ""
    until: float = 0.0
    order: Order = Order()


def order(storage: Storage) -> Order:
    """What the operator wants now; learning, where nothing was said."""
    found = storage.objects.read(_key(storage, "learning"))
    return msgspec.json.decode(found.data, type=Order) if found else Order()


def give(storage: Storage, wanted: Order) -> None:
    """Order it; the last one counts."""
    _put(storage, "learning", msgspec.json.encode(wanted))


def kept(storage: Storage) -> bytes | None:
    """What the breaker knew lately, as JSON of :class:`Kept`."""
    found = storage.objects.read(_key(storage, "breaker"))
    return found.data if found else None


def keep(storage: Storage, state: bytes) -> None:
    """Keep what the breaker knows."""
    _put(storage, "breaker", state)


def _key(storage: Storage, name: str) -> str:
    return f"{storage.task}/{name}.json"


def _put(storage: Storage, name: str, data: bytes) -> None:
    key = _key(storage, name)
    while True:  # each turn means that another writer was first
        found = storage.objects.read(key)
        try:
            storage.objects.create(key, data) if found is None else storage.objects.replace(key, data, found.etag)
            return
        except Lost:
            continue
