"""The joiner as a process, on a real broker: what it says, how soon, and how it starts and stops."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from shared.kafka import partition_for, producer
from shared.messages import DeadLetter, Example
from shared.settings import Settings
from tests.conftest import variables
from tests.joiner import EXAMPLES, TIMES, Worker, impression, outcome, read

pytestmark = pytest.mark.engines


@pytest.fixture
def joiner(fresh_settings: Settings, tmp_path: Path) -> Iterator[Worker]:
    worker = Worker("w", variables(fresh_settings) | TIMES, tmp_path)
    worker.start()
    worker.wait()
    yield worker
    worker.kill()


async def until(settings: Settings, topic: str, count: int, seconds: float = 20.0) -> list[bytes]:
    async with asyncio.timeout(seconds):
        while True:
            found = [record.value for records in (await read(settings, topic)).values() for record in records]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)


async def test_it_says_lists_corrections_and_dead_letters_and_stops_in_order(fresh_settings: Settings, joiner: Worker) -> None:
    home = partition_for("u", fresh_settings.partitions)
    async with producer(fresh_settings) as client:

        async def send(topic: str, value: bytes, partition: int = home) -> None:
            await client.send_and_wait(topic, value, key=b"u", partition=partition)

        await send("impressions", b"\xc1 no message")
        await send("impressions", msgspec.msgpack.encode(impression("r1", "u", ("a", "b"))))
        await send("behaviour", msgspec.json.encode(outcome("e1", "u", "b", "r1")))
        await send("behaviour", msgspec.json.encode(outcome("e2", "u", "a", "ghost")))
        await send("behaviour", msgspec.json.encode(outcome("e3", "u", "a", "r1")), (home + 1) % fresh_settings.partitions)
        await asyncio.sleep(1)
        await send("behaviour", msgspec.json.encode(outcome("e4", "u", "a", "r1")))
    examples = [msgspec.msgpack.decode(value, type=Example) for value in await until(fresh_settings, EXAMPLES, 2)]
    assert [(one.kind, [(o.index, o.action) for o in one.outcomes], one.position) for one in examples] == [
        ("list", [(1, "purchase")], 0),
        ("correction", [(0, "purchase")], 0),
    ]
    letters = [msgspec.json.decode(value, type=DeadLetter) for value in await until(fresh_settings, "dead-letters", 3)]
    assert sorted((one.reason, one.origin.topic) for one in letters) == [
        ("misrouted", "behaviour"),
        ("undecodable", "impressions"),
        ("unknown", "behaviour"),
    ]
    assert joiner.metric('joiner_unmatched_total{reason="unknown"}') == 1
    assert joiner.metric('joiner_examples_total{kind="list"}') == 1
    assert joiner.terminate() == 0


async def test_examples_and_corrections_come_at_once(fresh_settings: Settings, joiner: Worker) -> None:
    async with producer(fresh_settings, linger_ms=0) as client:
        for n in range(40):
            shown, user = impression(f"r{n}", f"u{n}", ("a", "b")), f"u{n}".encode()
            await client.send_and_wait("impressions", msgspec.msgpack.encode(shown), key=user)
            await asyncio.sleep(0.05)
        for n in range(40):
            late = msgspec.json.encode(outcome(f"e{n}", f"u{n}", "a", f"r{n}"))
            await client.send_and_wait("behaviour", late, key=f"u{n}".encode())
            await asyncio.sleep(0.05)
    await until(fresh_settings, EXAMPLES, 80)
    for kind in ("list", "correction"):
        total = joiner.metric(f'joiner_delay_seconds_sum{{kind="{kind}"}}')
        assert total / joiner.metric(f'joiner_delay_seconds_count{{kind="{kind}"}}') < 0.25


def test_a_window_that_does_not_fit_refuses_to_start(fresh_settings: Settings, tmp_path: Path) -> None:
    worker = Worker("w", variables(fresh_settings), tmp_path)
    worker.start(FRESHET_JOINER_RATE="100000")
    deadline = time.monotonic() + 30
    while worker.status is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert worker.status == 1
    assert "FRESHET_JOINER_MEMORY_MB" in worker.log.read_text()
