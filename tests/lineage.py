"""What was planned, learned and published, as Kafka and the storage tell it, and the oracle: a fresh run over the same plans."""

import asyncio
from typing import Any

import msgspec
from aiokafka import TopicPartition
from safetensors.numpy import load, save

from services.updater import recovery
from services.updater.assembly import student_of
from services.updater.loop import Student
from services.updater.publishing.checkpoints import Checkpoints, Progress
from services.updater.windows.plans import Plans
from services.updater.windows.window import Window
from shared import topics
from shared.bundles.manifest import Manifest
from shared.bundles.storage import Storage
from shared.errors import StorageUnavailable
from shared.kafka import consumer, started
from shared.messages import Example, WindowPlan
from shared.settings import Settings
from shared.tasks import RANKING, Task


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


def planned(settings: Settings) -> Plans:
    """The plans that count."""
    plans = Plans()
    for record in asyncio.run(read(settings, topics.windows("ranking"), 1))[0]:
        plans.fold(record.offset, msgspec.msgpack.decode(record.value, type=WindowPlan))
    return plans


def fresh_run(settings: Settings, beginning: recovery.Checkpoint | None = None, task: Task = RANKING) -> Student:
    """The oracle: from the base, or from where else learning was taken back to, through every plan that counts, in one go."""
    storage = Storage.connect(settings)
    records = asyncio.run(read(settings, topics.examples("ranking"), settings.partitions))
    beginning = beginning or recovery.base(storage)
    student = student_of(task, storage, beginning)
    for plan in planned(settings).after(beginning.progress.window):
        spans = [records[int(p)][first:end] for p, (first, end) in sorted(plan.ranges.items(), key=lambda one: int(one[0]))]
        examples = [msgspec.msgpack.decode(record.value, type=Example) for span in spans for record in span]
        _, batch = student.admit(Window(plan, examples))
        student.race.learn(batch, plan.window)
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
    """The offsets that the served bundle names; nothing while a storage that was just started cannot tell."""
    storage = Storage.connect(settings)
    try:
        pointer = storage.pointer("latest")
        return {} if pointer is None else storage.manifest(pointer.version).offsets
    except StorageUnavailable:
        return {}
    finally:
        storage.objects.close()


def unlearned(settings: Settings) -> int:
    """How many examples the served bundle has not learned, of those that stand on the topic."""
    last = asyncio.run(ends(settings))  # asked first: what is served moves on meanwhile
    served = learned_up_to(settings)
    return sum(end - served.get(partition, 0) for partition, end in last.items())


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
