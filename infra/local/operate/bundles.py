"""Which bundle is served: looked at, pinned, and learning taken back to one."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer

from infra.local.operate.topic import records
from services.updater.checkpoints import Checkpoints
from services.updater.plans import Plans, replanned
from shared.bundles.manifest import Manifest, Pointer
from shared.bundles.reader import BundleReader
from shared.bundles.signing import verify_key
from shared.bundles.storage import Storage
from shared.errors import BadInput, BundleRefused
from shared.kafka import deliver, producer, started
from shared.messages import WindowPlan
from shared.settings import Settings
from shared.topics import windows


def pointer_to(storage: Storage, version: str, moved_at: float) -> Pointer:
    """The pointer that serves a version: its full bundle, and the deltas after that.

    Raises:
        BundleRefused: ``missing``: the version, or one that it rests on, is not in the storage any more.
    """
    manifest, deltas = storage.manifest(version), list[str]()
    epoch = manifest.epoch
    while manifest.kind == "delta":
        deltas.insert(0, manifest.version)
        if manifest.parent is None:
            raise BundleRefused("corrupt", f"the delta {manifest.version} names no parent")
        manifest = storage.manifest(manifest.parent)
    return Pointer(task=storage.task, version=version, epoch=epoch, full=manifest.version, deltas=tuple(deltas), moved_at=moved_at)


def listed(storage: Storage, newest: int) -> list[Manifest]:
    """The newest versions' manifests, newest first."""
    return [storage.manifest(version) for version in reversed(storage.versions()[-newest:])]


def verify(storage: Storage, version: str, key: Path, now: float) -> Manifest:
    """Load a version as ranking would: signature, files' hashes, shapes, finite weights, the hash of all weights.

    Raises:
        BundleRefused: says what is wrong with it.
    """
    return BundleReader(storage, verify_key(key)).load(pointer_to(storage, version, now)).manifest


def pin(storage: Storage, version: str, key: Path, now: float) -> Pointer:
    """Make ranking serve a version, which is verified first."""
    verify(storage, version, key, now)
    pointer = pointer_to(storage, version, now)
    storage.pin(pointer)
    return pointer


async def restore(settings: Settings, version: str, without: Sequence[int], now: float) -> list[WindowPlan]:
    """Take learning back to a bundle's checkpoint, and through the windows after it again, without some.

    The plans are written under an epoch of their own; the running updater finds itself replaced, starts again and follows them.

    Raises:
        BundleRefused: there is no checkpoint of that version; says which there are.
        BadInput: a window to leave out is none of those after the bundle.
    """
    Checkpoints(Storage.connect(settings)).load(version)
    client = await started(producer(settings))
    try:
        while (again := await _replan(settings, client, version, frozenset(without), now)) is None:
            continue  # the running updater wrote in between; it is fenced off now
        return again
    finally:
        await client.stop()


async def _replan(
    settings: Settings, client: AIOKafkaProducer, version: str, without: frozenset[int], now: float
) -> list[WindowPlan] | None:
    """Write the plans of a restore; ``None`` where another plan came before the first, which makes it void."""
    plans = await folded(settings)
    try:
        first, *rest = replanned(settings.task, plans, version, without, planned_at=now)
    except ValueError as error:
        raise BadInput(str(error), field="without") from None
    topic, encode = windows(settings.task), msgspec.msgpack.encode
    if (await deliver(client, topic, encode(first), partition=0)).offset != plans.next_offset:
        return None
    for plan in rest:
        await deliver(client, topic, encode(plan), partition=0)
    return [first, *rest]


async def folded(settings: Settings) -> Plans:
    """The windows planned so far, by the rules that the updater itself follows."""
    plans, decoder = Plans(), msgspec.msgpack.Decoder(WindowPlan)
    async for record in records(settings, windows(settings.task)):
        plans.fold(record.offset, decoder.decode(record.value))
    return plans
