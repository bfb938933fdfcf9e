"""The collector as a process of its own, and a client that remembers what it was promised."""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from aiokafka import TopicPartition

from infra.local.ports import free_block
from shared.kafka import consumer, started
from shared.settings import Settings


@dataclass
class Collector:
    """One collector on a free port; its log is in ``log``."""

    environment: Mapping[str, str]
    log: Path
    module: str = "services.collector"
    """With its arguments."""
    port: int = field(default_factory=lambda: free_block(1))
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, ready: bool = True, **variables: str) -> None:
        """Start it; returns once it is ready, or at least alive."""
        environment = {**os.environ, **self.environment, "FRESHET_COLLECTOR_PORT": str(self.port), **variables}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", *self.module.split()], env=environment, stdout=log, stderr=log)
        self.wait("/readyz" if ready else "/livez")

    def wait(self, path: str, seconds: float = 60.0) -> None:
        """Return once the path answers 200."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process
            assert self.process.poll() is None, f"the collector ended: {self.log.read_text()}"
            try:
                if httpx.get(self.url + path, timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"{path} did not answer 200: {self.log.read_text()}")

    def kill(self) -> None:
        """SIGKILL."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def terminate(self, seconds: float = 30.0) -> int:
        """SIGTERM; returns the exit status."""
        assert self.process
        self.process.terminate()
        return self.process.wait(seconds)

    def metric(self, name: str) -> float:
        """The value of a sample in ``/metrics``; ``name`` with its labels, as it is printed."""
        lines = httpx.get(self.url + "/metrics", timeout=60).text.splitlines()  # it may be flooded
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + " ")), 0.0)


@contextmanager
def collecting(
    environment: Mapping[str, str], folder: Path, *, module: str = "services.collector", **variables: str
) -> Iterator[Collector]:
    """A running collector, killed at the end if it still runs."""
    collector = Collector({**environment, **variables}, folder / "collector.log", module)
    try:
        collector.start()
        yield collector
    finally:
        collector.kill()


@dataclass
class Shop:
    """Sends events without pause and keeps every promise it was given."""

    url: str
    batch: int = 20
    promised: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Event id → partition and offset, as answered."""
    attempts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    in_flight: int = 0
    """Requests sent and not answered."""
    stopping: bool = False

    async def send(self, clients: int = 8) -> None:
        """Load from several clients until :attr:`stopping`; a list that failed is sent again until it is accepted."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            await asyncio.gather(*(self._client(session, n) for n in range(clients)))

    async def _client(self, session: aiohttp.ClientSession, client: int) -> None:
        sent = 0
        while not self.stopping:
            if await self._accepted(session, [self._event(client, sent + n) for n in range(self.batch)]):
                sent += self.batch
            else:
                await asyncio.sleep(0.05)

    def _event(self, client: int, n: int) -> dict[str, Any]:
        return {"event_id": f"{client}-{n}", "user_id": f"user-{client}-{n % 40}", "item_id": f"item-{n % 50}", "action": "view"}

    async def _accepted(self, session: aiohttp.ClientSession, events: list[dict[str, Any]]) -> bool:
        self.in_flight += 1
        self.attempts.update(event["event_id"] for event in events)
        try:
            async with session.post(f"{self.url}/events", json=events) as response:
                self.statuses[response.status] += 1
                if response.status != 200:
                    return False
                accepted = (await response.json())["accepted"]
        except (aiohttp.ClientError, TimeoutError):
            return False
        finally:
            self.in_flight -= 1
        assert [one["event_id"] for one in accepted] == [event["event_id"] for event in events]
        self.promised |= {one["event_id"]: (one["partition"], one["offset"]) for one in accepted}
        return True


async def read_all(settings: Settings, topic: str) -> dict[tuple[int, int], bytes]:
    """Every record of a topic up to its present end, by partition and offset."""
    reader = await started(consumer(settings))
    try:
        parts = [TopicPartition(topic, number) for number in range(settings.partitions)]
        reader.assign(parts)
        ends = await reader.end_offsets(parts)
        found: dict[tuple[int, int], bytes] = {}
        async with asyncio.timeout(60):
            while any([await reader.position(part) < ends[part] for part in parts]):
                for records in (await reader.getmany(timeout_ms=200)).values():
                    found |= {(record.partition, record.offset): record.value for record in records}
        return found
    finally:
        await reader.stop()
