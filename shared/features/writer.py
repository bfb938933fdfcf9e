"""Writes rows so that a newer one is never replaced by an older one."""

from collections.abc import Sequence
from typing import Any

HIGHER_VERSION_WINS = b"""
local written, ttl, unpack = 0, ARGV[#KEYS + 1], struct.unpack
for i = 1, #KEYS do
  local new, old, ok = ARGV[i], redis.call('GETRANGE', KEYS[i], 8, 15), true
  if #old == 8 then
    local a, b = unpack('<I4I4', old)
    local x, y = unpack('<I4I4', new, 9)
    ok = y > b or (y == b and x >= a)
  end
  if ok then
    written = written + 1
    if ttl == '0' then redis.call('SET', KEYS[i], new) else redis.call('SET', KEYS[i], new, 'EX', ttl) end
  end
end
return written"""
"""Versions are compared as two 32-bit halves: Lua's numbers are doubles, and its string order follows the locale."""

CHUNK = 200
"""Rows a script call: what bounds how long one call blocks the store."""


class RowWriter:
    """Writes rows through a client; ``client`` is a ``redis.Redis``, or a ``redis.asyncio.Redis`` for :meth:`write_async`."""

    def __init__(self, client: Any) -> None:
        self._script = client.register_script(HIGHER_VERSION_WINS)

    def write(self, keys: Sequence[bytes], rows: Sequence[bytes], ttl: int) -> int:
        """Write rows unless the stored ones are of a higher version; returns how many were written."""
        chunks = range(0, len(keys), CHUNK)
        return sum(self._script(keys=keys[i : i + CHUNK], args=[*rows[i : i + CHUNK], ttl]) for i in chunks)

    async def write_async(self, keys: Sequence[bytes], rows: Sequence[bytes], ttl: int) -> int:
        """The same on an event loop."""
        written = 0
        for i in range(0, len(keys), CHUNK):
            written += await self._script(keys=keys[i : i + CHUNK], args=[*rows[i : i + CHUNK], ttl])
        return written
