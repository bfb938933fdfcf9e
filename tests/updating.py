"""What tests of the updater's service share: a small shop's base bundle, examples of it on Kafka, and the oracle of a fresh run."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from aiokafka import TopicPartition
from safetensors.numpy import load, save

from infra.local.ports import free_block
from services.updater import recovery
from services.updater.admission import Admission
from services.updater.assembly import Catalogues, loaded
from services.updater.base import publish_base
from services.updater.batches import Batcher
from services.updater.catalogue import Assortment, build
from services.updater.checkpoints import Checkpoints, Progress
from services.updater.device import choose
from services.updater.learner import Learner
from services.updater.loop import Student
from services.updater.plans import Plans
from services.updater.releases import Position
from services.updater.window import Window
from shared import topics
from shared.bundles.files import Catalogue, decode_catalogue
from shared.bundles.manifest import Manifest
from shared.bundles.signing import signing_key, write_keys
from shared.bundles.storage import Storage
from shared.kafka import consumer, partition_for, producer, started
from shared.keys import keys
from shared.messages import Example, Impression, Inputs, Item, Origin, Outcome, WindowPlan
from shared.settings import Settings
from shared.tasks import RANKING
from tests.conftest import variables

INPUTS = Inputs(user=("bought_1d", "bought_7d"), candidate=("sold_1d", "price", "context.display"))
START = 1_500_000_000.0
TEXT = RANKING.model.text_dim


def items(first: int = 0, count: int = 200) -> list[Item]:
    """Lines of the catalogue."""
    when = datetime(2017, 1, 1, tzinfo=UTC)
    return [
        Item(item_id=f"i{i}", time=when, title=f"text {i}", category=f"c{i % 7}", brand=f"b{i % 5}")
        for i in range(first, first + count)
    ]


def shown(number: int, partitions: int, listed: int = 8) -> Example:
    """List ``number``: a function of the number alone; what sold before and an even item number make a purchase likelier."""
    rng = np.random.default_rng(number)
    user = f"u{rng.integers(0, 50)}"
    chosen = rng.choice(200, listed, replace=False)
    features = rng.exponential(size=(listed, 3)).astype(np.float32)
    odds = 1.5 * features[:, 0] + (chosen % 2) - 3
    bought = np.flatnonzero(rng.random(listed) < 1 / (1 + np.exp(-odds)))
    impression = Impression(
        request_id=f"r{number}", task="ranking", user_id=user, time=START + 10.0 * number, bundle="00000000-0001", inputs=INPUTS,
        items=tuple(f"i{i}" for i in chosen), scores=np.full(listed, 0.2, np.float32).tobytes(),
        user_features=rng.exponential(size=2).astype(np.float32).tobytes(), candidate_features=features.tobytes(),
        history=keys(f"i{i}" for i in rng.integers(0, 200, 4)).tobytes(), history_weights=np.ones(4, np.float32).tobytes(),
    )  # fmt: skip
    partition = partition_for(user, partitions)
    outcomes = tuple(Outcome(int(i), "purchase", partition, 10 * number + int(i), impression.time, 0.5) for i in bought)
    return Example(kind="list", origin=Origin("impressions", partition, number), impression=impression, outcomes=outcomes)


def late(example: Example, index: int, offset: int) -> Example:
    """The late purchase of a listed item."""
    impression, partition = example.impression, example.origin.partition
    features = np.frombuffer(impression.candidate_features, np.float32).reshape(len(impression.items), -1)
    alone = msgspec.structs.replace(
        impression, items=(impression.items[index],), scores=impression.scores[4 * index : 4 * index + 4],
        candidate_features=features[index].tobytes(),
    )  # fmt: skip
    outcome = Outcome(0, "purchase", partition, offset, impression.time, 9.0)
    return Example(
        kind="correction", origin=Origin("behaviour", partition, offset), impression=alone, outcomes=(outcome,),
        corrects=example.origin, position=index,
    )  # fmt: skip


def stream(first: int, count: int, partitions: int) -> list[Example]:
    """Lists with some late outcomes among them, and every tenth delivered twice."""
    examples: list[Example] = []
    for number in range(first, first + count):
        examples.append(shown(number, partitions))
        if number % 5 == 4:
            examples.append(late(shown(number - 3, partitions), 1, 10 * number + 9))
        if number % 10 == 9:
            examples.append(shown(number - 1, partitions))
    return examples


async def send(settings: Settings, examples: Sequence[Example], pause: float = 0.0) -> None:
    """Write examples where the joiner would, a pause after every twentieth."""
    client = await started(producer(settings))
    try:
        for n, example in enumerate(examples):
            value = msgspec.msgpack.encode(example)
            await client.send(topics.examples("ranking"), value, partition=example.origin.partition)
            if pause and n % 20 == 19:
                await asyncio.sleep(pause)
        await client.flush()
    finally:
        await client.stop()


def learner() -> tuple[Learner, list[Catalogue]]:
    """A learner that has seen a little history, and its catalogue."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, TEXT))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    catalogue = build(items(), {f"text {i}": vectors[i].astype(np.float16) for i in range(200)}, TEXT)
    assortment = Assortment(TEXT)
    assortment.add(catalogue)
    made = Learner(RANKING, INPUTS, assortment, choose())
    made.freeze(RANKING.model.frozen)
    made.start_at(0.2)
    batch, _ = Batcher(INPUTS, RANKING.labels, assortment).batch([shown(1_000_000 + n, 4) for n in range(200)], lambda _: True)
    made.learn(batch, 0)
    return made, [catalogue]


@dataclass
class Updaters:
    """Starts updaters against the engines, each as a process of its own."""

    settings: Settings
    home: Path
    environment: dict[str, str]

    def start(self, failpoint: str = "", **settings: object) -> "Process":
        """One more updater."""
        port = free_block(1)
        given = {f"FRESHET_{name.upper()}": str(value) for name, value in settings.items()}
        environment = self.environment | {"FRESHET_UPDATER_PORT": str(port), "FRESHET_FAILPOINT": failpoint} | given
        path, command = self.home / f"updater-{port}-{time.monotonic_ns()}.log", [sys.executable, "-m", "services.updater"]
        with path.open("wb") as log:
            return Process(subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log), port, path)


@dataclass
class Process:
    """A running updater."""

    popen: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def ready(self, seconds: float = 90.0) -> "Process":
        """Wait until it says so."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.popen.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return self
            time.sleep(0.1)
        raise AssertionError(f"not ready: {self.log.read_text()[-3000:]}")

    def stop(self, seconds: float = 60.0) -> int:
        """SIGTERM; the exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(seconds)

    def kill(self) -> None:
        """SIGKILL."""
        self.popen.kill()
        self.popen.wait()

    def died(self, seconds: float = 90.0) -> int:
        """Wait for its own end; the exit code."""
        return self.popen.wait(seconds)

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


def prepared(settings: Settings, home: Path) -> Updaters:
    """Keys and a base bundle; fast tempos."""
    signing, verifying = home / "signing.pem", home / "verify.pem"
    if not signing.exists():
        write_keys(signing, verifying)
    storage = Storage.connect(settings)
    made, catalogues = learner()
    publish_base(storage, made, catalogues, signing_key(signing))
    tempo = {"FULL_S": "3", "DENSE_S": "0.6", "CHECKPOINT_S": "3", "KEEP_FULLS": "1000", "RIPE_S": "1", "ENCODE_S": "1"}
    own = {"FRESHET_SIGNING_KEY": str(signing), "FRESHET_TEXTS": str(home / "texts")}
    return Updaters(settings, home, variables(settings) | own | {f"FRESHET_{name}": value for name, value in tempo.items()})


def until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)


async def read(settings: Settings, topic: str, partitions: int) -> dict[int, list[Any]]:
    """Everything on a topic, by partition."""
    client = await started(consumer(settings))
    try:
        every = [TopicPartition(topic, partition) for partition in range(partitions)]
        client.assign(every)
        ends = await client.end_offsets(every)
        records: dict[int, list[Any]] = {partition: [] for partition in range(partitions)}
        while any(len(records[one.partition]) < end for one, end in ends.items()):
            for one, got in (await client.getmany(timeout_ms=500)).items():
                records[one.partition] += got
        return records
    finally:
        await client.stop()


def fresh_run(settings: Settings) -> Student:
    """The oracle: from the base, through every plan that counts, in one go."""
    storage = Storage.connect(settings)
    plans = Plans()
    for record in asyncio.run(read(settings, topics.windows("ranking"), 1))[0]:
        plans.fold(record.offset, msgspec.msgpack.decode(record.value, type=WindowPlan))
    records = asyncio.run(read(settings, topics.examples("ranking"), settings.partitions))
    base = recovery.base(storage)
    assortment = Assortment(TEXT)
    for file in base.progress.catalogues:
        assortment.add(decode_catalogue(storage.get_blob(file)))
    learned = loaded(RANKING, INPUTS, assortment, choose(), base)
    student = Student(learned, Batcher(INPUTS, RANKING.labels, assortment), Position(0, 0, {}, Admission()), Catalogues(storage))
    for plan in plans.lineage:
        spans = [records[int(p)][first:end] for p, (first, end) in sorted(plan.ranges.items(), key=lambda one: int(one[0]))]
        examples = [msgspec.msgpack.decode(record.value, type=Example) for span in spans for record in span]
        _, batch = student.admit(Window(plan, examples))
        learned.learn(batch, plan.window)
    return student


def last_checkpoint(settings: Settings) -> Progress:
    """The newest one."""
    checkpoints = Checkpoints(Storage.connect(settings))
    return checkpoints.load(checkpoints.versions()[-1])[0]


async def ends(settings: Settings) -> dict[str, int]:
    """Next offsets of the examples' partitions that hold something."""
    client = await started(consumer(settings))
    try:
        every = [TopicPartition(topics.examples("ranking"), partition) for partition in range(settings.partitions)]
        return {str(one.partition): end for one, end in (await client.end_offsets(every)).items() if end}
    finally:
        await client.stop()


def line(storage: Storage) -> list[Manifest]:
    """The manifests that lead to what is served, oldest first, without the base."""
    pointer = storage.pointer("latest")
    assert pointer is not None
    manifests = [storage.manifest(pointer.version)]
    while manifests[-1].parent:
        manifests.append(storage.manifest(manifests[-1].parent))
    return manifests[-2::-1]


def outcomes(storage: Storage) -> list[tuple[int, int]]:
    """(partition, offset) of every outcome that the served line says it learned."""
    said = [offsets for manifest in line(storage) for offsets in (*manifest.outcomes.items(), *manifest.corrections.items())]
    return [(int(partition), offset) for partition, offsets in said for offset in offsets]


def learned_up_to(settings: Settings) -> dict[str, int]:
    """The offsets that the served bundle names."""
    storage = Storage.connect(settings)
    try:
        pointer = storage.pointer("latest")
        return {} if pointer is None else storage.manifest(pointer.version).offsets
    finally:
        storage.objects.close()


def epochs(settings: Settings) -> list[int]:
    """Of every plan."""
    records = asyncio.run(read(settings, topics.windows("ranking"), 1))[0]
    return [msgspec.msgpack.decode(record.value, type=WindowPlan).epoch for record in records]


def tamper(settings: Settings) -> None:
    """Change one weight of the newest checkpoint."""
    storage = Storage.connect(settings)
    key = f"{storage.task}/checkpoints/{Checkpoints(storage).versions()[-1]}/state.safetensors"
    found = storage.objects.read(key)
    assert found is not None
    state = load(found.data)
    state["tables/user.values"][1, 0] += 1.0
    storage.objects.replace(key, save(state), found.etag)
