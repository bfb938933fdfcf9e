"""The base bundle: window 0, what pretraining on history made, with the checkpoint that live learning begins from."""

import time
from collections.abc import Iterable, Mapping

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.updater.learning.learner import Learner
from services.updater.publishing.bundle import Chain, Composer, Release
from services.updater.publishing.checkpoints import Checkpoints, Progress
from services.updater.publishing.published import Change, Published
from services.updater.publishing.schedule import Due
from services.updater.windows.window import Ledger
from shared.bundles.files import Catalogue, encode_catalogue
from shared.bundles.manifest import Manifest, version
from shared.bundles.storage import Storage
from shared.errors import BadSettings

EPOCH = 1


def require_none(storage: Storage) -> None:
    """Refuse a second history.

    Raises:
        BadSettings: the task has a bundle already.
    """
    if storage.pointer("latest") is not None:
        raise BadSettings(f"{storage.task} has bundles already; use another bucket or task for another history")


def publish_base(
    storage: Storage, learner: Learner, catalogues: Iterable[Catalogue], key: Ed25519PrivateKey,
    metrics: Mapping[str, float] | None = None,
) -> Manifest:  # fmt: skip
    """Publish a pretrained learner as window 0: full bundle, checkpoint, then the pointer.

    Args:
        storage: the task's bundles; it must have none yet.
        learner: as pretrained, its frozen parts set.
        catalogues: every catalogue of the learner's assortment, in the order in which they were added.
        key: signs the manifest.
        metrics: of pretraining, for the manifest.

    Raises:
        BadSettings: the task has a bundle already.
    """
    require_none(storage)
    files = tuple(storage.put_blob(encode_catalogue(catalogue)) for catalogue in catalogues)
    nothing = Progress(version=version(0, EPOCH), window=0, epoch=EPOCH, plans_offset=0, offsets={}, origins={}, catalogues=files)
    manifest, progress = store_whole(storage, learner, nothing, EPOCH, key, metrics=metrics)
    Checkpoints(storage).save(progress, learner.state())
    storage.move_latest(Chain(manifest.version, manifest.version).pointer(storage.task, EPOCH, time.time()))
    learner.tables.reset()
    return manifest


def store_whole(
    storage: Storage, learner: Learner, progress: Progress, epoch: int, key: Ed25519PrivateKey, *, parent: str | None = None,
    metrics: Mapping[str, float] | None = None,
) -> tuple[Manifest, Progress]:  # fmt: skip
    """Store a learner as a full bundle, and move nothing. Returns its manifest, and what its checkpoint is to say.

    Args:
        storage: the task's bundles.
        learner: as it is to be served.
        progress: which prefix of the log the learner holds.
        epoch: whose bundle it is.
        key: signs the manifest.
        parent: the bundle that it was made from.
        metrics: for the manifest.
    """
    change = Change(learner.tables.full(), learner.dense())
    published = Published.empty(learner.task.model.capacity, learner.task.model.dim)
    published.apply(change)
    release = Release(
        window=progress.window, epoch=epoch, due=Due(True, True, True), change=change, anew=True, ledger=Ledger(),
        offsets=progress.offsets, catalogues=progress.catalogues, metrics=metrics or {}, created=time.time(),
        learning=learner.task.learning,
    )  # fmt: skip
    composer = Composer(learner.task, learner.inputs, learner.trainable(), key)
    stored = {name: storage.put_blob(data) for name, data in composer.files(release, published).items()}
    manifest = composer.manifest(release, published, stored, parent)
    storage.put_manifest(manifest)
    return manifest, msgspec.structs.replace(progress, version=manifest.version, weights_sha256=manifest.weights_sha256)
