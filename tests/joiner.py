"""The joiner as a process of its own, traffic for it, and what came of it beside what the oracle says."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition

from infra.local.ports import free_block
from shared import messages
from shared.kafka import consumer, producer, started
from shared.messages import Behaviour, DeadLetter, Impression, Inputs
from shared.settings import Settings
from tests.joiner_oracle import Logged, expected, learned

LABELS = ("purchase",)
TIMES = {"FRESHET_JOINER_WAIT_S": "0.8", "FRESHET_JOINER_WINDOW_S": "6", "FRESHET_JOINER_SLACK_MS": "1500"}
EXAMPLES = "examples.ranking"


@dataclass
class Worker:
    """One joiner on a free port; its log is in ``folder``."""

    name: str
    environment: Mapping[str, str]
    folder: Path
    module: str = "services.joiner"
    port: int = field(default_factory=lambda: free_block(1))
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self, **variables: str) -> None:
        """Start it, and do not wait."""
        own = {
            "FRESHET_JOINER_PORT": str(self.port),
            "FRESHET_JOINER_INSTANCE": self.name,
            "FRESHET_JOINER_FOLDER": str(self.folder / "state"),
            "FRESHET_JOINER_SESSION_S": "6",
            "FRESHET_JOINER_RATE": "10",
            "FRESHET_JOINER_IMPRESSION_BYTES": "1000",
        }
        with self.log.open("ab") as log:
            environment = {**os.environ, **self.environment, **own, **variables}
            self.process = subprocess.Popen([sys.executable, "-m", self.module], env=environment, stdout=log, stderr=log)

    def wait(self, seconds: float = 60.0) -> None:
        """Return once it reads its partitions."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.status is None, f"{self.name} ended: {self.log.read_text()[-3000:]}"
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"{self.name} is not ready: {self.log.read_text()[-3000:]}")

    @property
    def status(self) -> int | None:
        """Its exit status, while it runs ``None``."""
        assert self.process
        return self.process.poll()

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def terminate(self, seconds: float = 30.0) -> int:
        """SIGTERM; returns the exit status."""
        self.signal(signal.SIGTERM)
        assert self.process
        return self.process.wait(seconds)

    def metric(self, name: str) -> float:
        """The value of a sample in ``/metrics``, as it is printed with its labels; 0 where there is none."""
        lines = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text.splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + " ")), 0.0)


def impression(request: str, user: str, items: tuple[str, ...], *, degraded: bool = False) -> Impression:
    """One that is as small as can be."""
    scores = bytes(4 * len(items))
    return Impression(
        request_id=request, task="ranking", user_id=user, time=time.time(), bundle="b", inputs=Inputs(), items=items, scores=scores,
        degraded=degraded,
    )  # fmt: skip


def outcome(event: str, user: str, item: str, request: str | None, action: str = "purchase") -> Behaviour:
    now = datetime.now(UTC)
    return Behaviour(event_id=event, user_id=user, item_id=item, action=action, time=now, request_id=request)


@dataclass
class Traffic:
    """Shoppers who look and buy: outcomes early, in time, late, too late, twice, of items never shown, and of no request."""

    settings: Settings
    rate: float = 120.0
    """Impressions a second; with half of the time silent, so that partitions fall idle."""
    seed: int = 1
    sent: int = 0
    last: float = 0.0
    """When the last impression was sent."""
    _stopping: bool = False
    _done: asyncio.Event = field(default_factory=asyncio.Event)

    async def loud(self, within_s: float = 0.1) -> None:
        """Return at a moment with impressions on their way and none of them emitted yet: none can be within the wait."""
        async with asyncio.timeout(30):
            while time.monotonic() - self.last > within_s:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def run(self) -> None:
        """Send until :meth:`finish`, then what is still on its way."""
        try:
            async with producer(self.settings, linger_ms=1) as client:
                await self._send_all(client)
        finally:
            self._done.set()

    async def _send_all(self, client: AIOKafkaProducer) -> None:
        chance, tasks, began = random.Random(self.seed), set[asyncio.Task[None]](), time.monotonic()
        while not self._stopping:
            await asyncio.sleep(1 / self.rate)
            if int(time.monotonic() - began) % 6 < 4:
                self.sent, self.last = self.sent + 1, time.monotonic()
                task = asyncio.create_task(self._shopper(client, f"r{self.seed}-{self.sent}", chance))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def finish(self) -> None:
        """Send nothing new; return once all that was on its way is in the log."""
        self._stopping = True
        await self._done.wait()

    async def _shopper(self, client: AIOKafkaProducer, request: str, chance: random.Random) -> None:
        user = f"user-{chance.randrange(40)}"
        logged_late = chance.choice([0, 0, 0, 0.05, 0.3])
        shown = impression(request, user, ("a", "b", "c"), degraded=chance.random() < 0.03)
        sends = [self._send(client, shown, logged_late)]
        if user != "user-0":  # who never buys: a partition without outcomes
            for n in range(chance.choice([0, 1, 1, 2, 3])):
                asked = request if chance.random() > 0.03 else "ghost"
                action = "purchase" if chance.random() > 0.2 else "view"
                after = chance.choice([0, chance.random(), chance.random() * 2, chance.random() * 7])
                event = outcome(f"{request}-{n}", user, chance.choice("abcz"), asked, action)
                sends.append(self._send(client, event, after))
        await asyncio.gather(*sends)

    async def _send(self, client: AIOKafkaProducer, message: Impression | Behaviour, after: float) -> None:
        await asyncio.sleep(after)
        codec = msgspec.msgpack if isinstance(message, Impression) else msgspec.json
        while True:
            try:
                await client.send_and_wait(message.topic, codec.encode(message), key=message.user_id.encode())
                return
            except Exception:  # Kafka is away: what may have arrived twice is twice in the log
                await asyncio.sleep(0.2)


async def read(settings: Settings, topic: str, after: Mapping[int, int] | None = None) -> dict[int, list[ConsumerRecord]]:
    """Every record of a topic up to its present end, by partition; ``after`` the offsets given."""
    reader = await started(consumer(settings))
    try:
        parts = [TopicPartition(topic, number) for number in range(settings.partitions)]
        reader.assign(parts)
        for part in parts:
            reader.seek(part, (after or {}).get(part.partition, 0))
        ends = await reader.end_offsets(parts)
        found: dict[int, list[ConsumerRecord]] = {part.partition: [] for part in parts}
        async with asyncio.timeout(60):
            while any([await reader.position(part) < ends[part] for part in parts]):
                for part, records in (await reader.getmany(timeout_ms=200)).items():
                    found[part.partition].extend(records)
        return found
    finally:
        await reader.stop()


@dataclass
class Report:
    """What the joiner said, and what it should have said."""

    examples: Counter[Hashable]
    oracle: Counter[Hashable]
    refused: dict[tuple[int, int], str]
    oracle_refused: dict[tuple[int, int], str]
    emitted: int
    """Examples on the topic, repeats included."""

    def agree(self) -> bool:
        return self.examples == self.oracle and self.refused == self.oracle_refused

    def __str__(self) -> str:
        missing, extra = self.oracle - self.examples, self.examples - self.oracle
        differing = sorted(set(self.refused.items()) ^ set(self.oracle_refused.items()))
        return (
            f"{sum(self.oracle.values())} examples expected, {sum(missing.values())} missing {list(missing)[:5]}, "
            f"{sum(extra.values())} too many {list(extra)[:5]}; {len(self.oracle_refused)} refusals expected, "
            f"{len(differing)} differ {differing[:5]}; {self.emitted} emitted"
        )


async def report(settings: Settings, times: Mapping[str, str], after: Mapping[int, int] | None = None) -> Report:
    """Both logs and what was made of them; ``after`` offsets of the examples' topic where given."""
    wait, window = (round(float(times[f"FRESHET_JOINER_{name}_S"]) * 1000) for name in ("WAIT", "WINDOW"))
    slack = int(times["FRESHET_JOINER_SLACK_MS"])
    shown, answered = await read(settings, "impressions"), await read(settings, "behaviour")
    emitted, letters = await read(settings, EXAMPLES, after), await read(settings, messages.DeadLetter.topic)
    said = Report(Counter(), Counter(), {}, {}, sum(map(len, emitted.values())))
    for number in range(settings.partitions):
        impressions = [Logged(r.offset, r.timestamp, msgspec.msgpack.decode(r.value, type=Impression)) for r in shown[number]]
        outcomes = [Logged(r.offset, r.timestamp, msgspec.json.decode(r.value, type=Behaviour)) for r in answered[number]]
        truth = expected(impressions, outcomes, labels=LABELS, wait=wait, window=window, slack=slack)
        said.oracle.update({(number, *key): n for key, n in truth.examples.items()})
        said.examples.update({(number, *key): n for key, n in learned(r.value for r in emitted[number]).items()})
        said.oracle_refused.update({(number, offset): reason for offset, reason in truth.refused.items()})
    for record in (record for records in letters.values() for record in records):
        letter = msgspec.json.decode(record.value, type=DeadLetter)
        said.refused[letter.origin.partition, letter.origin.offset] = letter.reason
    return said


async def ends(settings: Settings, topic: str) -> dict[int, int]:
    """Partition → end offset."""
    reader = await started(consumer(settings))
    try:
        parts = [TopicPartition(topic, number) for number in range(settings.partitions)]
        return {part.partition: end for part, end in (await reader.end_offsets(parts)).items()}
    finally:
        await reader.stop()


async def agreed(
    settings: Settings, times: Mapping[str, str], after: Mapping[int, int] | None = None, *, seconds: float = 60.0
) -> Report:
    """The report once it is the oracle's and stays so for two seconds; or the last one, when the time is over."""
    deadline = time.monotonic() + seconds
    before, said = False, await report(settings, times, after)
    while not (before and said.agree()) and time.monotonic() < deadline:
        before = said.agree()
        await asyncio.sleep(2.0 if before else 0.5)
        said = await report(settings, times, after)
    return said
