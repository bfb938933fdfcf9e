"""The features service without one of its safeguards: what shows that the kill tests can fail.

``python -m tests.faults.hasty_features fence`` counts what a row already contains; ``order`` moves the markers before the rows are
written; ``marker`` does not look whether the markers are as it left them; ``version`` lets an older row replace a newer one;
``acknowledged`` moves on before Kafka has the items' events; ``whole`` goes on after a flush that failed half way.
"""

import sys
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from redis.exceptions import RedisError

from services.features import __main__ as entry
from services.features import flush, items, markers, users
from shared.features import writer
from shared.messages import Behaviour
from shared.topics import BEHAVIOUR_BY_ITEM


def without_fence() -> None:
    """Every delivery counts."""

    def every(cells: NDArray[np.int64], offsets: NDArray[np.int64], fence: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.ones(len(cells), bool)

    def count(self: users.Users, row: int, offset: int, versions: dict[int, int], event: Behaviour, time: int) -> str:
        return "count"

    items._first_time = every
    users.Users._verdict = count  # type: ignore[method-assign]


def without_order() -> None:
    """The markers move first."""
    write = flush.Flush._send

    async def marked_first(self: flush.Flush, pending: flush.Pending) -> None:
        await self._markers.advance(pending.positions)
        await write(self, pending)

    flush.Flush._send = marked_first  # type: ignore[method-assign]


def without_marker() -> None:
    """The markers are written whatever stands there."""

    async def blind(self: markers.Markers, offsets: Mapping[markers.Place, int]) -> None:
        self._ours |= {place: offset for place, offset in offsets.items() if place in self._ours}
        for place, offset in self._ours.items():
            await self._claim.registered_client.set(self.key(place), f"{offset} {self._writer}")

    markers.Markers.advance = blind  # type: ignore[method-assign]


def without_version() -> None:
    """The last writer wins."""
    writer.HIGHER_VERSION_WINS = b"for i = 1, #KEYS do redis.call('SET', KEYS[i], ARGV[i]) end return #KEYS"


def without_acknowledged() -> None:
    """The items' events are on their way, and that is enough."""

    async def on_their_way(self: flush.Flush, pending: flush.Pending) -> None:
        for to, value in pending.records:
            await self._producer.send(BEHAVIOUR_BY_ITEM, value, partition=to)

    flush.Flush._send = on_their_way  # type: ignore[method-assign]


def without_whole() -> None:
    """A flush that fails is forgotten: the next one goes on from here."""
    flush_all = flush.Flush.__call__

    async def whatever_comes(self: flush.Flush) -> dict[markers.Place, int]:
        positions = self.pending.positions
        try:
            return await flush_all(self)
        except RedisError:
            self._broken = False
            self.pending.positions = positions | self.pending.positions
            return {}

    flush.Flush.__call__ = whatever_comes  # type: ignore[method-assign]


SAFEGUARDS = {
    "fence": without_fence,
    "order": without_order,
    "marker": without_marker,
    "version": without_version,
    "acknowledged": without_acknowledged,
    "whole": without_whole,
}

if __name__ == "__main__":
    SAFEGUARDS[sys.argv[1]]()
    entry.main()
