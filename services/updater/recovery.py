"""How a life of the updater begins: from the newest checkpoint that what is served rests on, through the plans made since."""

from dataclasses import dataclass

from services.updater.publishing.bundle import Chain
from services.updater.publishing.checkpoints import Arrays, Checkpoints, Progress
from services.updater.publishing.releases import Served
from services.updater.windows.plans import Plans, window_of
from shared.bundles.files import F4, decode_dense
from shared.bundles.manifest import Manifest, Pointer
from shared.bundles.storage import Storage
from shared.errors import BundleRefused


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as loaded."""

    progress: Progress
    state: Arrays

    def plans(self) -> Plans:
        """The fold of ``windows.<task>`` up to it."""
        progress = self.progress
        return Plans(window=progress.window, epoch=progress.epoch, next_offset=progress.plans_offset)


def newest(storage: Storage, pointer: Pointer) -> Checkpoint:
    """The newest checkpoint not after what is served, so that what is rebuilt can be compared with it.

    Raises:
        BundleRefused: ``missing``.
    """
    checkpoints = Checkpoints(storage)
    earlier = [version for version in checkpoints.versions() if window_of(version) <= window_of(pointer.version)]
    if not earlier:
        raise BundleRefused("missing", f"no checkpoint of {storage.task} is as old as {pointer.version}; import history anew")
    return Checkpoint(*checkpoints.load(earlier[-1]))


def base(storage: Storage) -> Checkpoint:
    """The checkpoint of window 0, which the frozen base is.

    Raises:
        BundleRefused: ``missing``.
    """
    checkpoints = Checkpoints(storage)
    return Checkpoint(*checkpoints.load(next(iter(checkpoints.versions()), "00000000-0001")))


def restored(storage: Storage, plans: Plans, checkpoint: Checkpoint, pointer: Pointer) -> tuple[Checkpoint, Chain]:
    """Where learning goes on and what readers should hold, after a restore that the plans tell of; else as they are."""
    version = plans.restarted_from()
    if not version:
        return checkpoint, Chain.of(pointer)
    checkpoint = Checkpoint(*Checkpoints(storage).load(version))
    kept = any(plan.window == window_of(pointer.version) for plan in plans.lineage)
    return checkpoint, Chain.of(pointer) if kept else chain_to(storage, version)


def chain_to(storage: Storage, version: str) -> Chain:
    """How a reader without any bundle gets to this one: its newest full bundle, and the deltas from there.

    Raises:
        BundleRefused: as :meth:`shared.bundles.storage.Storage.line`.
    """
    full, *deltas = storage.line(version)
    return Chain(version, full.version, tuple(delta.version for delta in deltas))


def served(storage: Storage, chain: Chain) -> Served:
    """What readers of this bundle hold, for the comparison."""
    manifests = [storage.manifest(version) for version in dict.fromkeys((chain.full, *chain.deltas))]
    return Served(manifests[-1].window, _dense(storage, manifests), manifests[-1].weights_sha256, manifests[-1].calibrator)


def _dense(storage: Storage, manifests: list[Manifest]) -> dict[str, F4]:
    for manifest in reversed(manifests):
        if "dense" in manifest.files:
            return decode_dense(storage.get_blob(manifest.files["dense"]))
    raise BundleRefused("corrupt", f"the full bundle {manifests[0].version} has no dense part")
