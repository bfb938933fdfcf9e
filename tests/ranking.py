"""A shop for ranking's tests: plans and rows in the store, bundles in the storage, and the service as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import redis
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.local.ports import free_block
from shared.bundles.storage import Storage
from shared.features.assemble import Assembler
from shared.features.counters import Counters
from shared.features.plan import Plan
from shared.features.plans import CATALOGUE, plan_key
from shared.messages import Inputs
from shared.settings import Settings
from shared.tasks import RANKING, ModelSettings
from tests.bundles import Model, Publisher, a_key, a_model
from tests.conftest import variables
from tests.features import at, declared_plans, event, plans

WAIT_SECONDS = 120.0


def shop_inputs() -> Inputs:
    """Every input that the declared plans make."""
    return Assembler(plans(), RANKING.context).inputs


def shop_model(seed: int = 0, items: int = 200, **settings: Any) -> Model:
    """A random model of all inputs of the shop."""
    capacity = {"user": 256, "item": max(1024, items * 2), "category": 16, "brand": 16, "hour": 32, "weekday": 8}
    small = ModelSettings(dim=8, hidden=(32, 16), text_dim=16, capacity=capacity)
    shape = ModelSettings(**settings) if settings else small
    return a_model(seed, items=items, settings=shape, inputs=shop_inputs())


def fill_store(settings: Settings, users: int = 20, items: int = 200, stock: dict[str, float] | None = None) -> None:
    """Plans, some history of each user, and a line of the catalogue for each item: price 1 + n/10, boost 1."""
    declared = declared_plans()
    counters = Counters(plans())
    events = [
        event(n, user_id=f"u{n % users}", item_id=f"i{(n * 7) % items}", category="dairy", brand="own", price=2.0 + n % 5)
        for n in range(users * 20)
    ]
    counters.apply(at(events, [float(n) for n in range(len(events))]))
    with redis.Redis.from_url(settings.redis) as valkey:
        for plan in declared:
            valkey.set(plan_key(settings.project, plan.view, plan.id), plan.to_json())
            valkey.set(plan_key(settings.project, plan.view), plan.id)
        valkey.mset(dict(counters.dump()))
        valkey.mset(dict(_catalogue(next(plan for plan in declared if plan.view == CATALOGUE), items, stock or {})))


def _catalogue(plan: Plan, items: int, stock: dict[str, float]) -> Iterator[tuple[bytes, bytes]]:
    for n in range(items):
        row = np.frombuffer(bytearray(plan.default), plan.dtype)
        row["price"], row["stock"] = 1 + n / 10, stock.get(f"i{n}", np.nan)
        yield plan.key(f"i{n}"), row.tobytes()


def a_publisher(settings: Settings, model: Model | None = None) -> Publisher:
    """Publishes to the settings' bucket, signed by key 1."""
    return Publisher(Storage.connect(settings), a_key(), model or shop_model())


@dataclass
class Service:
    """The running service."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    client: httpx.Client

    def rank(self, user: str = "u1", items: list[str] | None = None, status: int = 200, door: str = "/rank", **fields: Any) -> Any:
        """The answer to a question about these items, which must have this status."""
        body = {"user_id": user, "candidates": [{"item_id": one} for one in items or ["i1", "i2", "i3"]]} | fields
        return self.post(door, body, status)

    def with_counters(self, ask: Callable[[], Any]) -> Any:
        """What ``ask()`` answers, asked again while a busy machine lets the store miss its 20 ms."""
        while (answer := ask())["degraded"]:
            time.sleep(0.1)
        return answer

    def post(self, door: str, body: Any, status: int = 200) -> Any:
        answer = self.client.post(door, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def metric(self, sample: str) -> float:
        """A sample's value, such as ``ranking_swaps_total{kind="delta"}``; 0 where it is not there."""
        lines = self.client.get("/metrics").text.splitlines()
        return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{sample} ")), 0.0)

    def lines(self, event_name: str) -> list[dict[str, Any]]:
        """The log's lines of one event."""
        parsed = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in parsed if line.get("event") == event_name]

    def until(self, what: Any, seconds: float = 20.0) -> None:
        """Wait until ``what()`` holds."""
        deadline = time.monotonic() + seconds
        while not what():
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(0.02)

    def until_serving(self, version: str) -> None:
        self.until(lambda: self.rank()["bundle"] == version)

    def ready(self) -> bool:
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def asked_to_death(self, trouble: Callable[[], object], clients: int = 4) -> tuple[list[str], int]:
        """Ask from several clients while ``trouble()`` kills it.

        Returns:
            the ids of the requests that it answered, and how many requests its death cut off.
        """
        answered: list[str] = []

        def ask() -> bool:
            try:
                while True:
                    answered.append(self.rank()["request_id"])
            except httpx.ConnectError:  # it was dead before it was asked
                return False
            except httpx.TransportError:
                return True

        with ThreadPoolExecutor(clients) as pool:
            asking = [pool.submit(ask) for _ in range(clients)]
            try:
                self.until(lambda: answered)
                trouble()
                assert self.process.wait(WAIT_SECONDS) == -signal.SIGKILL
            finally:
                self.kill()  # or they would ask on
        return answered, sum(one.result() for one in asking)

    def kill(self) -> None:
        """As a lost machine."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """As a supervisor would; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def running(
    settings: Settings, folder: Path, *, wait: bool = True, port: int = 0, without: str = "", **more: Any
) -> Iterator[Service]:
    """The service on a free port, trusting key 1.

    Args:
        settings: where the engines are.
        folder: of its log and key.
        wait: return once it is ready.
        port: a certain one.
        without: a safeguard of ``tests.faults.hasty_ranking`` that is off.
        more: further settings.
    """
    public = folder / "verify.pem"
    public.write_bytes(a_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    port = port or free_block(1)
    own = {"verify_key": public, "ranking_port": port, "ranking_poll_seconds": 0.3} | more
    environment = os.environ | variables(settings) | {f"FRESHET_{name.upper()}": str(value) for name, value in own.items()}
    log = folder / f"ranking-{port}.log"
    with log.open("ab") as out:
        entry = ("tests.faults.hasty_ranking", without) if without else ("services.ranking",)
        command = [sys.executable, "-m", *entry]
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        service = Service(process, f"http://127.0.0.1:{port}", log, client)
        try:
            if wait:
                service.until(service.ready, WAIT_SECONDS)
            yield service
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
