"""What is kept of the past: the last K full bundles with all after the oldest of them, and what the operator pinned.

Deleting goes in small steps between two publications, so that no bundle waits for it. A file goes only with the last manifest that
names it.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping

from services.updater.publishing.checkpoints import Checkpoints
from shared.bundles.manifest import File, Manifest, Pointer
from shared.bundles.storage import Storage


def kept(
    manifests: Mapping[str, Manifest], fulls: int, pin: Pointer | None, checkpoints: Collection[str], keep: Collection[str]
) -> set[str]:
    """The versions that stay.

    The base, window 0, is among them: quality is measured against it. So is the checkpoint from which a restart gets to the oldest
    full bundle that stays, and what else is to be kept.
    """
    full = [version for version in sorted(manifests) if manifests[version].kind == "full"]
    oldest = full[-fulls:][0] if full else ""
    before = max((version for version in checkpoints if version <= oldest), default="")
    named = {before, *served_by(pin), *keep}
    return {version for version, manifest in manifests.items() if version >= oldest or version in named or manifest.window == 0}


def served_by(pointer: Pointer | None) -> set[str]:
    """The versions that a reader of this pointer loads; none without one."""
    return {pointer.version, pointer.full, *pointer.deltas} if pointer else set()


class Retention:
    """Deletes what has expired. Used by the publishing thread alone."""

    def __init__(self, storage: Storage, fulls: int, planned: Iterable[str] = ()) -> None:
        """Begin with what is there.

        Args:
            storage: the task's bundles.
            fulls: K, how many full bundles are kept.
            planned: storage keys of files that a plan names and no bundle yet.
        """
        self._storage, self._checkpoints, self._fulls = storage, Checkpoints(storage), fulls
        self._manifests = {version: storage.manifest(version) for version in storage.versions()}
        self._saved = set(self._checkpoints.versions())
        self._expired: deque[str] = deque()
        self._sweep(set(planned))

    def add(self, manifest: Manifest, *, checkpoint: bool = False, keep: Collection[str] = ()) -> None:
        """Note a new bundle; a full one decides anew what has expired.

        Args:
            manifest: the bundle's.
            checkpoint: whether it has a checkpoint.
            keep: versions that do not expire now.
        """
        self._manifests[manifest.version] = manifest
        if checkpoint:
            self._saved.add(manifest.version)
        if manifest.kind == "full":
            stay = kept(self._manifests, self._fulls, self._storage.pointer("pin"), self._saved, keep)
            self._expired = deque(sorted(self._manifests.keys() - stay))

    def step(self, versions: int = 2) -> int:
        """Delete up to this many expired versions; how many went. What was pinned since they expired stays."""
        done = 0
        while self._expired and done < versions:
            if self._expired[0] not in served_by(self._storage.pointer("pin")):
                self._delete(self._expired[0])
                done += 1
            self._expired.popleft()  # only now: where the storage is away it is deleted again
        return done

    def _delete(self, version: str) -> None:
        others = _files(manifest for other, manifest in self._manifests.items() if other != version)
        self._storage.objects.delete(self._storage.manifest_key(version))
        self._checkpoints.delete(version)
        for file in set(self._manifests[version].files.values()) - others:
            self._storage.objects.delete(file.key(self._storage.task))
        del self._manifests[version]
        self._saved.discard(version)

    def _sweep(self, planned: set[str]) -> None:
        """Delete files that no manifest names: what a kill between a file and its manifest left behind."""
        named = planned | {file.key(self._storage.task) for file in _files(self._manifests.values())}
        for key in self._storage.objects.list(f"{self._storage.task}/blobs/"):
            if key not in named:
                self._storage.objects.delete(key)


def _files(manifests: Iterable[Manifest]) -> set[File]:
    return {file for manifest in manifests for file in manifest.files.values()}
