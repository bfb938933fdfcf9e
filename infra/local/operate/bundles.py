"""Which bundle is served: looked at, pinned, and learning taken back to one."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from aiokafka.errors import KafkaError

from infra.local.records import records
from services.updater.publishing.checkpoints import Checkpoints
from services.updater.windows.kafka import PlanLog
from services.updater.windows.plans import Plans, replanned
from shared.bundles.manifest import Manifest, Pointer
from shared.bundles.reader import BundleReader
from shared.bundles.signing import verify_key
from shared.bundles.storage import Storage
from shared.errors import BadInput, KafkaUnavailable, Unavailable
from shared.kafka import consumer, producer, started
from shared.messages import WindowPlan
from shared.settings import Settings
from shared.topics import windows

TAKEN_OVER = "an updater started just then and took over: learning goes on as before; do it again"


def pointer_to(storage: Storage, version: str, moved_at: float) -> Pointer:
    """The pointer that serves a version: its full bundle, and the deltas after that.

    Raises:
        BundleRefused: as :meth:`shared.bundles.storage.Storage.line`.
    """
    full, *deltas = line = storage.line(version)
    return Pointer(
        task=storage.task, version=version, epoch=line[-1].epoch, full=full.version,
        deltas=tuple(delta.version for delta in deltas), moved_at=moved_at,
    )  # fmt: skip


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


def hold(storage: Storage, key: Path, now: float) -> Pointer:
    """Make readers stay on what they are served now, whatever is published, until a person approves; a pin that stands is left.

    Raises:
        BadInput: nothing is served yet.
        BundleRefused: says what is wrong with what is served.
    """
    if (pinned := storage.pointer("pin")) is not None:
        return pinned
    if (latest := storage.pointer("latest")) is None:
        raise BadInput("nothing is published yet", field="version")
    return pin(storage, latest.version, key, now)


def approve(storage: Storage, version: str | None, key: Path, now: float) -> Pointer:
    """Move readers that are held to a version, verified first, and hold them there; ``None``: to the newest, and let them follow.

    Raises:
        BadInput: nothing is held.
        BundleRefused: says what is wrong with the version, and readers stay where they are.
    """
    if storage.pointer("pin") is None:
        raise BadInput("nothing is held: readers follow the newest bundle", field="version")
    if version is not None:
        return pin(storage, version, key, now)
    if (latest := storage.pointer("latest")) is None:
        raise BadInput("nothing is published that readers could follow", field="version")
    verify(storage, latest.version, key, now)
    storage.unpin()
    return latest


async def restore(
    settings: Settings, version: str, without: Sequence[int], now: float, *, skipped: bool = False
) -> list[WindowPlan]:  # fmt: skip
    """Take learning back to a bundle's checkpoint, and through the windows after it again, without some.

    With ``skipped`` also through those that the breaker, or a pause, had skipped.

    Raises:
        BundleRefused: there is no checkpoint of that version; says which there are.
        BadInput, Unavailable: as :func:`relearned`.
    """
    Checkpoints(Storage.connect(settings)).load(version)
    return await relearned(settings, lambda epoch: (version, lambda: None), without, now, skipped=skipped)


Prepared = tuple[str, Callable[[], None]]
"""A version to go back to, and what makes its checkpoint stand once nobody else writes."""


async def relearned(
    settings: Settings, prepare: Callable[[int], Prepared], without: Sequence[int], now: float, *,
    skipped: bool = False,
) -> list[WindowPlan]:  # fmt: skip
    """Go back to what ``prepare`` makes for the epoch that is claimed, and through the windows after it again, without some.

    The plans are written under an epoch of their own; the running updater finds itself replaced, starts again and follows them.

    Raises:
        BadInput: a window to leave out is none of those after the bundle.
        Unavailable: an updater started in between and is above these plans, none of which counts.
    """
    client, reader = await started(producer(settings)), await started(consumer(settings))
    log = PlanLog(settings.task, reader, client, Plans())
    try:
        await log.follow()
        epoch = log.plans.epoch + 1
        version, stand = await asyncio.to_thread(prepare, epoch)
        _replanned(settings.task, log.plans, version, without, now, skipped)  # before anything is written
        await log.claim(0)
        if log.epoch != epoch:
            raise Unavailable(TAKEN_OVER)
        await asyncio.to_thread(stand)
        again = _replanned(settings.task, log.plans, version, without, now, skipped)
        topic, encode = windows(settings.task), msgspec.msgpack.encode
        sent = [await client.send(topic, encode(plan), partition=0) for plan in again]  # at once: nobody comes between them
        await asyncio.gather(*sent)
        await log.follow()
    except KafkaError as error:
        raise KafkaUnavailable(f"the plans were not acknowledged ({error!r}): see `freshet windows list`") from error
    finally:
        await reader.stop()
        await client.stop()
    if log.plans.lineage[-len(again) :] != again:
        raise Unavailable(TAKEN_OVER)
    return again


def _replanned(
    task: str, plans: Plans, version: str, without: Sequence[int], now: float, skipped: bool
) -> list[WindowPlan]:  # fmt: skip
    try:
        return replanned(task, plans, version, frozenset(without), planned_at=now, skipped=skipped)
    except ValueError as error:
        raise BadInput(str(error), field="without") from None


async def folded(settings: Settings) -> Plans:
    """The windows planned so far, by the rules that the updater itself follows."""
    plans = Plans()
    async for record in records(settings, windows(settings.task)):
        plans.read(record.offset, record.value)
    return plans
