"""An answer's head and body leave in one write."""

import asyncio
from typing import Any

from services.ranking.one_write import OneWrite


class Recorded:
    """A transport that notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("close")

    def is_closing(self) -> bool:
        return "close" in self.done


async def transports() -> tuple[Any, Recorded]:
    recorded = Recorded()
    return OneWrite(recorded), recorded


async def test_a_turn_of_the_loop_is_one_write() -> None:
    transport, recorded = await transports()
    transport.write(b"head")
    transport.write(b"body")
    assert recorded.done == []
    await asyncio.sleep(0)
    transport.write(b"next")
    await asyncio.sleep(0)
    assert recorded.done == [b"headbody", b"next"]


async def test_what_was_taken_is_written_before_the_end() -> None:
    transport, recorded = await transports()
    transport.write(b"last")
    transport.close()
    await asyncio.sleep(0)
    assert recorded.done == [b"last", "close"]
    assert transport.is_closing()
