"""Markers move at once, and are looked at once a second while nothing moves."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.features.markers import CLAIM, IDLE_S, Markers
from shared.errors import Fenced

HERE, THERE = ("behaviour", 0), ("behaviour", 1)


class Store:
    """Valkey, as far as the two scripts go."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.asked = 0

    def register_script(self, script: bytes) -> Callable[..., Awaitable[Any]]:
        return self.claim if script == CLAIM else self.advance

    async def claim(self, keys: list[str], args: list[str]) -> list[bytes]:
        found = [self.values.get(key, "0").split()[0] for key in keys]
        self.values |= {key: f"{offset} {args[0]}" for key, offset in zip(keys, found, strict=True)}
        return [offset.encode() for offset in found]

    async def advance(self, keys: list[str], args: list[str]) -> int:
        self.asked += 1
        old, new = args[: len(keys)], args[len(keys) :]
        wrong = [n for n, key in enumerate(keys, 1) if self.values[key] != old[n - 1]]
        if not wrong:
            self.values |= dict(zip(keys, new, strict=True))
        return wrong[0] if wrong else 0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def claimed() -> tuple[Store, Clock, Markers]:
    store, clock = Store(), Clock()
    markers = Markers(store, "shop", clock)
    assert await markers.claim([HERE, THERE]) == {HERE: 0, THERE: 0}
    return store, clock, markers


async def test_what_moves_is_written_at_once() -> None:
    store, _, markers = await claimed()
    for offset in (3, 7):
        await markers.advance({HERE: offset})
        assert store.values[markers.key(HERE)].split()[0] == str(offset)


async def test_while_nothing_moves_they_are_looked_at_once_a_second() -> None:
    store, clock, markers = await claimed()
    for _ in range(30):
        await markers.advance({})
        clock.now += IDLE_S / 10
    assert store.asked == 3


async def test_an_idle_worker_finds_within_a_second_that_its_partition_was_taken() -> None:
    store, clock, markers = await claimed()
    await markers.advance({HERE: 3})
    await Markers(store, "shop", clock).claim([HERE])
    await markers.advance({})
    clock.now += IDLE_S
    with pytest.raises(Fenced, match="behaviour/0"):
        await markers.advance({})


async def test_a_worker_that_has_something_to_write_finds_it_at_once() -> None:
    store, clock, markers = await claimed()
    await markers.advance({HERE: 3})
    await Markers(store, "shop", clock).claim([HERE])
    with pytest.raises(Fenced):
        await markers.advance({THERE: 1})
