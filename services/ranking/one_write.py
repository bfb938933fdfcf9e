"""uvicorn's HTTP with an answer's head and body in one write: each is a call into the kernel, as dear as the model's graph."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWrite:
    """A transport that writes once for each turn of the event loop."""

    def __init__(self, transport: Any) -> None:
        self._transport, self._parts = transport, list[bytes]()
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Take it; it is written with what else this turn brings."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)

    def flush(self) -> None:
        """Write what was taken."""
        if self._parts:
            parts, self._parts = self._parts, []
            self._transport.write(b"".join(parts))

    def close(self) -> None:
        """Write what was taken, and close."""
        self.flush()
        self._transport.close()


class Protocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(OneWrite(transport))  # type: ignore[arg-type]
