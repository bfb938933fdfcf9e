"""How far each source partition has been read, written in Valkey after the rows: the truth that a restart begins from.

A marker names its writer. One that is not as we left it means that somebody else took the partition, or that the store lost writes
(a failover, a restored snapshot): then what we hold in memory is not what the store contains, and the process must read again.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shared.errors import Fenced

Place = tuple[str, int]
"""Topic and partition."""

CLAIM = b"""
local found = {}
for i = 1, #KEYS do
  local old = redis.call('GET', KEYS[i])
  local offset = old and string.match(old, '^%d+') or '0'
  redis.call('SET', KEYS[i], offset .. ' ' .. ARGV[1])
  found[i] = offset
end
return found"""

ADVANCE = b"""
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) ~= ARGV[i] then return i end
end
for i = 1, #KEYS do
  if ARGV[#KEYS + i] ~= ARGV[i] then redis.call('SET', KEYS[i], ARGV[#KEYS + i]) end
end
return 0"""

IDLE_S = 1.0
"""How often the markers are looked at while nothing moves."""


class Markers:
    """The markers of this worker's partitions; ``client`` is a ``redis.asyncio.Redis``, ``clock`` tells monotonic seconds."""

    def __init__(self, client: Any, project: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._project, self._writer = project, uuid.uuid4().hex
        self._claim, self._advance = client.register_script(CLAIM), client.register_script(ADVANCE)
        self._ours: dict[Place, int] = {}
        self._clock, self._looked = clock, -IDLE_S

    def key(self, place: Place) -> str:
        """Where a partition's marker lies."""
        return f"marker:{self._project}:{place[0]}:{place[1]}"

    async def claim(self, places: Iterable[Place]) -> dict[Place, int]:
        """Take the partitions over; returns the offsets to read from."""
        wanted = sorted(places)
        found = await self._claim(keys=[self.key(place) for place in wanted], args=[self._writer]) if wanted else []
        self._ours = {place: int(offset) for place, offset in zip(wanted, found, strict=True)}
        return dict(self._ours)

    async def advance(self, offsets: Mapping[Place, int]) -> None:
        """Move the markers to these offsets, and make sure that all the others are still as we left them; where none moves, that is
        looked at once a second.

        Raises:
            Fenced: one is not.
        """
        places = list(self._ours)
        if not places:
            return
        ahead = [max(offsets.get(place, 0), self._ours[place]) for place in places]
        now = self._clock()
        if ahead == list(self._ours.values()) and now < self._looked + IDLE_S:
            return
        old = [f"{self._ours[place]} {self._writer}" for place in places]
        new = [f"{offset} {self._writer}" for offset in ahead]
        if wrong := await self._advance(keys=[self.key(place) for place in places], args=[*old, *new]):
            topic, partition = places[int(wrong) - 1]
            raise Fenced(f"the marker of {topic}/{partition} is not as this worker left it; all is read again from the markers")
        self._ours, self._looked = dict(zip(places, ahead, strict=True)), now

    def forget(self) -> None:
        """The partitions are no longer ours."""
        self._ours = {}
