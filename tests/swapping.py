"""Load on ranking while its bundle changes, and the proof that every answer is exactly one bundle's."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import numpy as np

from shared.bundles.reader import BundleReader
from shared.kafka import consumer, started
from shared.keys import key, keys
from shared.messages import Impression
from shared.model.scorer import Scorer
from shared.model.update import Update
from shared.settings import Settings
from tests.bundles import Publisher, a_key

AT = "2023-11-15T10:00:00Z"


@dataclass(frozen=True)
class Answered:
    """One request: what came back, and after how many seconds."""

    status: int
    body: dict[str, Any]
    seconds: float


class Logged:
    """The features that an impression was scored with."""

    def __init__(self, impression: Impression) -> None:
        self.user = np.frombuffer(impression.user_features, np.float32)
        self.candidate = np.frombuffer(impression.candidate_features, np.float32).reshape(len(impression.items), -1)
        self.history = np.frombuffer(impression.history, np.uint64)
        self.history_weights = np.frombuffer(impression.history_weights, np.float32)


async def steady(url: str, rate: float, going_on: Callable[[], bool], items: int = 200, candidates: int = 100) -> list[Answered]:
    """Ask ``/rank`` so many times a second, whether or not the last answer is there, until told to stop; needs the event clock."""
    answers: list[Answered] = []
    random = np.random.default_rng(5)

    async def ask(session: aiohttp.ClientSession, n: int) -> None:
        chosen = random.choice(items, candidates, replace=False).tolist()
        body = {"user_id": f"u{n % 20}", "at": AT, "candidates": [{"item_id": f"i{one}", "price": 1 + one / 10} for one in chosen]}
        began = time.perf_counter()
        try:
            async with session.post(f"{url}/rank", json=body) as response:
                answers.append(Answered(response.status, await response.json(), time.perf_counter() - began))
        except (aiohttp.ClientError, TimeoutError) as error:
            answers.append(Answered(0, {"detail": repr(error)}, time.perf_counter() - began))

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(120)) as session, asyncio.TaskGroup() as group:
        began, n = time.perf_counter(), 0
        while going_on():
            group.create_task(ask(session, n))
            n += 1
            await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
    return answers


async def impressions(settings: Settings, count: int) -> dict[str, Impression]:
    """So many impressions from the topic, by request id."""
    client = await started(consumer(settings, Impression.topic))
    found: dict[str, Impression] = {}
    try:
        async with asyncio.timeout(60):
            while len(found) < count:
                for records in (await client.getmany(timeout_ms=500)).values():
                    read = [msgspec.msgpack.decode(record.value, type=Impression) for record in records]
                    found |= {impression.request_id: impression for impression in read}
    finally:
        await client.stop()
    return found


def every_version(publisher: Publisher) -> Iterator[Scorer]:
    """All that was published, in order; each is valid until the next is asked for."""
    reader = BundleReader(publisher.storage, a_key().public_key())
    scorer: Scorer | None = None
    for version in publisher.storage.versions():
        contents = reader.fetch(version)
        if contents.manifest.kind == "full" or scorer is None:
            pointer = msgspec.structs.replace(publisher.pointer(), version=version, full=version, deltas=())
            scorer = reader.load(pointer)
        else:
            scorer = Update.prepare(scorer, contents).apply()
        yield scorer


ROUNDING, TELLING = 5e-5, 1e-3
"""Two ways to the same score differ by less than the one, two bundles' scores by more than the other."""


def mixture(publisher: Publisher, answers: list[Answered], shown: dict[str, Impression]) -> tuple[float, float]:
    """How far an answer is from what its bundle says, at most; and the share of answers that the next bundle would have told apart.

    The first must be below :data:`ROUNDING`. The second says how many answers could have shown a mixture.
    """
    by_version: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for answer in answers:
        by_version[answer.body["bundle"]].append(answer.body)
    own, apart, asked = 0.0, 0, 0
    before = ""
    for scorer in every_version(publisher):
        version = scorer.manifest.version
        own = max([own, *(_difference(scorer, body, shown) for body in by_version[version])])
        if scorer.manifest.kind == "delta":  # a full bundle has the weights of the one before it
            others = [_difference(scorer, body, shown) for body in by_version[before]]
            apart, asked = apart + sum(other > TELLING for other in others), asked + len(others)
        before = version
    return own, apart / asked if asked else 0.0


def _difference(scorer: Scorer, body: dict[str, Any], shown: dict[str, Impression]) -> float:
    impression = shown[body["request_id"]]
    expected = scorer.score(Logged(impression), keys(impression.items), key(impression.user_id), impression.time)[:, 0]
    return float(np.abs(expected - np.array([item["score"] for item in body["items"]])).max())
