"""What the operator orders, and what the breaker knows, in the storage beside the bundles.

<task>/learning.json    the operator's order; `freshet windows pause` and `resume` write it
<task>/breaker.json     what the breaker knows, once in a while, so that a restart goes on from it
"""

import threading

import msgspec
from structlog.stdlib import BoundLogger

from services.updater.guards.breaker import Breaker, Kept, Order
from shared.bundles.objects import Lost
from shared.bundles.storage import Storage
from shared.errors import StorageUnavailable

LOOK_S = 2.0
"""Seconds after which an order is seen."""
KEEP_LOOKS = 15
"""Looks from one keeping of the breaker's state to the next."""


def order(storage: Storage) -> Order:
    """What the operator wants now; learning, where nothing was said."""
    found = storage.objects.read(_key(storage, "learning"))
    return msgspec.json.decode(found.data, type=Order) if found else Order()


def give(storage: Storage, wanted: Order) -> None:
    """Order it; the last one counts."""
    _put(storage, "learning", msgspec.json.encode(wanted))


def kept(storage: Storage) -> Kept | None:
    """What the breaker knew lately."""
    found = storage.objects.read(_key(storage, "breaker"))
    return msgspec.json.decode(found.data, type=Kept) if found else None


class Control:
    """Carries orders to the breaker, and its state to the storage, in a thread beside learning."""

    def __init__(self, storage: Storage, breaker: Breaker, log: BoundLogger) -> None:
        self._storage, self._breaker, self._log = storage, breaker, log
        self._ended = threading.Event()

    def begin(self) -> None:
        """Let the breaker go on from what is kept, and look from here on.

        Raises:
            StorageUnavailable: nobody knows what is kept.
        """
        found = self._storage.objects.read(_key(self._storage, "breaker"))
        try:
            if found:
                self._breaker.load(found.data)
        except msgspec.MsgspecError as error:
            self._log.error("the breaker begins anew: what was kept of it cannot be read", reason=str(error))
        self._breaker.order = order(self._storage)
        threading.Thread(target=self._follow, name="control", daemon=True).start()

    def end(self) -> None:
        """Keep the state a last time."""
        self._ended.set()
        self._do(keep=True)

    def _follow(self) -> None:
        looks = 0
        while not self._ended.wait(LOOK_S):
            looks += 1
            self._do(keep=looks % KEEP_LOOKS == 0)

    def _do(self, *, keep: bool) -> None:
        try:
            self._breaker.order = order(self._storage)
            if keep:
                _put(self._storage, "breaker", self._breaker.state())
        except (StorageUnavailable, msgspec.MsgspecError) as error:
            self._log.warning("orders wait", reason=str(error))


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
