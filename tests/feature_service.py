"""The features service as a process, traffic for it, and an oracle that folds the log by the definition alone."""

import asyncio
import math
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import psutil
from aiokafka import TopicPartition

from infra.local.ports import free_block
from shared import valkey
from shared.features.plan import Field, Plan
from shared.features.plans import ITEM, USER, store_plan
from shared.kafka import consumer, producer
from shared.keys import key
from shared.messages import Behaviour
from shared.settings import Settings
from shared.topics import BEHAVIOUR_BY_ITEM
from tests.features import START, declared_plans

ACTIONS = ("view", "click", "cart", "purchase", "favourite")
TABLE_OF: dict[str, Callable[[Behaviour], str]] = {
    "item": lambda e: e.item_id,
    "category": lambda e: e.category or "",
    "brand": lambda e: e.brand or "",
}


def apply_plans(settings: Settings, plans: list[Plan] | None = None) -> None:
    """What ``feast apply`` leaves in the store, without Feast."""
    with valkey.connect(settings) as store:
        for plan in plans or declared_plans():
            store_plan(store, plan)


@dataclass
class Worker:
    """One process of the service."""

    environment: dict[str, str]
    folder: Path
    name: str = "one"
    command: tuple[str, ...] = ("-m", "services.features")
    port: int = field(default_factory=lambda: free_block(1))
    process: subprocess.Popen[bytes] | None = None
    failpoint: str = ""
    """Where it was told to die or freeze, if it was."""

    def start(self, failpoint: str = "", *, wait: bool = True) -> "Worker":
        """Start it; by default return once it is ready."""
        own = {"FRESHET_FEATURES_PORT": str(self.port), "FRESHET_FEATURES_INSTANCE": self.name, "FRESHET_FEATURES_SESSION_S": "6"}
        environment = {**os.environ, **own, **self.environment, "FRESHET_FAILPOINT": failpoint}
        self.failpoint = failpoint
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen([sys.executable, *self.command], env=environment, stdout=log, stderr=log)
        if wait:
            self.wait_ready()
        return self

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def ready(self) -> bool:
        """Whether ``/readyz`` says so."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def wait_ready(self, seconds: float = 60) -> None:
        """Return once it is ready; start it again where it ended by itself, as a supervisor would."""
        deadline = time.monotonic() + seconds
        while not self.ready():
            assert time.monotonic() < deadline, f"not ready: see {self.folder / self.name}.log"
            if not self.running:
                self.start(self.failpoint, wait=False)
            time.sleep(0.05)

    @property
    def frozen(self) -> bool:
        """Whether it is stopped by a signal."""
        assert self.process
        return psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and wait; the exit code."""
        assert self.process
        self.process.terminate()
        return self.process.wait(30)


@contextmanager
def worker(environment: dict[str, str], folder: Path, **changed: object) -> Iterator[Worker]:
    """A worker that is ready, and that is gone afterwards."""
    made = Worker(environment, folder, **changed)  # type: ignore[arg-type]
    try:
        yield made.start()
    finally:
        made.kill()


@dataclass
class Traffic:
    """Shoppers whose clients retry, whose events come late, and who mostly like the same few items."""

    settings: Settings
    rate: float = 600.0
    users: int = 60
    items: int = 40
    seed: int = 1
    sent: int = 0
    stopping: bool = False

    def event(self, n: int, dice: random.Random) -> Behaviour:
        """The n-th event."""
        late = dice.choice((0.0, 0.0, 0.0, dice.uniform(0, 5_000)))
        item = min(int(dice.paretovariate(0.7)), self.items) - 1
        return Behaviour(
            event_id=f"{self.seed}-{n}",
            user_id=f"u{dice.randrange(self.users)}",
            item_id=f"i{item}",
            action=dice.choice(ACTIONS),
            time=_moment(START + n * 0.5 - late),
            price=dice.choice((None, dice.uniform(0.5, 90))),
            quantity=1.0,
            category=f"c{item % 6}",
            brand=dice.choice((None, f"b{item % 5}")),
        )

    async def send(self, count: int | None = None) -> None:
        """Send events, and every twentieth of them twice, until told to stop or ``count`` are out."""
        dice = random.Random(self.seed)
        encode = msgspec.json.encode
        async with producer(self.settings) as client:
            while not self.stopping and (count is None or self.sent < count):
                for _ in range(max(1, int(self.rate / 50))):
                    event = self.event(self.sent, dice)
                    for _ in range(2 if dice.random() < 0.05 else 1):
                        await client.send(Behaviour.topic, encode(event), key=event.user_id.encode())
                    self.sent += 1
                if count is None:
                    await asyncio.sleep(0.02)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def read_log(settings: Settings, topic: str = Behaviour.topic) -> list[Behaviour]:
    """Every event of the topic, in the order of each partition."""
    decode = msgspec.json.Decoder(Behaviour).decode
    reader = consumer(settings)
    await reader.start()
    try:
        places = [TopicPartition(topic, p) for p in range(settings.partitions)]
        reader.assign(places)
        ends = await reader.end_offsets(places)
        found: list[Behaviour] = []
        while any([await reader.position(place) < ends[place] for place in places]):
            for records in (await reader.getmany(timeout_ms=200)).values():
                found += [decode(record.value) for record in records]
    finally:
        await reader.stop()
    return found


async def settled(settings: Settings, seconds: float = 60) -> None:
    """Return once the markers of both topics stand at their ends."""
    async with asyncio.timeout(seconds):
        for topic in (Behaviour.topic, BEHAVIOUR_BY_ITEM):  # in this order: only what is counted reaches the second
            while await unflushed(settings, topic):  # noqa: ASYNC110 (nobody sets an event for what a test asks)
                await asyncio.sleep(0.1)


async def unflushed(settings: Settings, topic: str = Behaviour.topic) -> int:
    """Records that no marker has passed yet."""
    places = [TopicPartition(topic, p) for p in range(settings.partitions)]
    reader = consumer(settings)
    await reader.start()
    try:
        ends = await reader.end_offsets(places)
    finally:
        await reader.stop()
    with valkey.connect(settings, decode_responses=True) as store:
        markers = store.mget([f"marker:{settings.project}:{topic}:{place.partition}" for place in places])
    return sum(ends[place] - int((marker or "0").split()[0]) for place, marker in zip(places, markers, strict=True))


def differences(settings: Settings, events: list[Behaviour], plans: list[Plan] | None = None, ignored: str = "") -> list[str]:
    """Where the store is not what the log says, each number within 1e-9 of its definition; a retry counts once.

    Rows are looked at as the declared plans have them, or as ``plans`` have them but for the field ``ignored``.
    """
    once = list({event.event_id: event for event in events}.values())
    user, item = (next(plan for plan in plans or declared_plans() if plan.view == view) for view in (USER, ITEM))
    found: list[str] = []
    with valkey.connect(settings) as store:
        for plan, name in ((user, "user_id"), (item, "item_id")):
            groups: dict[str, list[Behaviour]] = defaultdict(list)
            for event in once:
                groups[getattr(event, name)].append(event)
            values = store.mget(plan.keys(list(groups)))
            for (identifier, mine), value in zip(groups.items(), values, strict=True):
                different = [what for what in _differing(plan, value, mine) if not ignored or not what.startswith(ignored)]
                found += [f"{plan.view} {identifier}: {what}" for what in different]
    return found


def _differing(plan: Plan, value: bytes | None, events: list[Behaviour]) -> Iterator[str]:
    if value is None:
        yield "no row"
        return
    row = np.frombuffer(value, plan.dtype, 1)[0]
    times = [round(event.time.timestamp() * 1e6) for event in events]
    for field_ in plan.fields:
        if "table" in field_.tags:
            if field_.tags["statistic"] != "key":
                yield from _table(plan, field_, row, events, times)
        elif field_.tags["statistic"] in ("first", "last"):
            expected: float = min(times) if field_.tags["statistic"] == "first" else max(times)
            if row[field_.name] != expected:
                yield f"{field_.name} is {row[field_.name]}, not {expected}"
        else:
            expected = _sum(field_, events, times, max(times))
            if not math.isclose(row[field_.name], expected, rel_tol=1e-9, abs_tol=1e-12):
                yield f"{field_.name} is {row[field_.name]}, not {expected}"


def _table(plan: Plan, column: Field, row: np.void, events: list[Behaviour], times: list[int]) -> Iterator[str]:
    of = column.tags["table"]
    keys = row[f"user_{of}_keys"].view(np.uint64).tolist()
    groups: dict[int, list[int]] = defaultdict(list)
    for i, event in enumerate(events):
        if name := TABLE_OF[of](event):
            groups[key(name)].append(i)
    if set(groups) != set(keys) - {0}:
        yield f"table {of} holds {len(set(keys) - {0})} keys, not {len(groups)}"
        return
    for entry, chosen in groups.items():
        got = row[column.name][keys.index(entry)]
        mine, when = [events[i] for i in chosen], [times[i] for i in chosen]
        expected = max(when) if column.tags["statistic"] == "last" else _sum(column, mine, when, max(times))
        if not math.isclose(got, expected, rel_tol=1e-9, abs_tol=1e-12):
            yield f"{column.name}[{entry}] is {got}, not {expected}"


def _sum(column: Field, events: list[Behaviour], times: list[int], newest: int) -> float:
    """Σ amount·exp((t - L)/τ) by its definition."""
    tau = int(column.tags["horizon"]) * 1_000_000
    landmark = newest // tau * tau
    return math.fsum(_amount(column, event) * math.exp((t - landmark) / tau) for event, t in zip(events, times, strict=True))


def _amount(column: Field, event: Behaviour) -> float:
    tags, price = column.tags, event.price
    if "weights" in tags:
        weights = dict(pair.split("=") for pair in tags["weights"].split(","))
        return float(weights.get(event.action, 0))
    if tags.get("action", "any") not in ("any", event.action):
        return 0.0
    logged = 0.0 if price is None else math.log1p(price)
    amounts = {"count": 1.0, "priced": float(price is not None), "log_price": logged, "log_price_squared": logged**2}
    return amounts[tags["statistic"]]
