"""Carries orders to the breaker, and its state to the storage, beside learning."""

import threading

import msgspec
from structlog.stdlib import BoundLogger

from services.updater.guards import orders
from services.updater.guards.breaker import Breaker
from shared.bundles.storage import Storage
from shared.errors import StorageUnavailable

LOOK_S = 2.0
"""Seconds after which an order is seen."""
KEEP_LOOKS = 15
"""Looks from one keeping of the breaker's state to the next."""


class Control:
    """Looks now and then, in a thread of its own."""

    def __init__(self, storage: Storage, breaker: Breaker, log: BoundLogger) -> None:
        self._storage, self._breaker, self._log = storage, breaker, log
        self._ended = threading.Event()

    def begin(self) -> None:
        """Let the breaker go on from what is kept, and look from here on.

        Raises:
            StorageUnavailable: nobody knows what is kept.
        """
        found = orders.kept(self._storage)
        try:
            if found:
                self._breaker.load(found)
        except msgspec.MsgspecError as error:
            self._log.error("the breaker begins anew: what was kept of it cannot be read", reason=str(error))
        self._breaker.order = orders.order(self._storage)
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
            self._breaker.order = orders.order(self._storage)
            if keep:
                orders.keep(self._storage, self._breaker.state())
        except (StorageUnavailable, msgspec.MsgspecError) as error:
            self._log.warning("orders wait", reason=str(error))
