"""What is kept of the past: the last K full bundles with all after the oldest of them, and what the operator pinned.

Deleting goes in small steps between two publications, so that no bundle waits for it. A file goes only with the last manifest that
names it.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from services.updater.checkpoints import Checkpoints
from shared.bundles.manifest import File, Manifest, Pointer
from shared.bundles.storage import Storage


def kept(manifests: Mapping[str, Manifest], fulls: int, pin: Pointer | None) -> set[str]:
    """The versions that stay; the base, window 0, is among them: quality is measured against it."""
    full = [version for version in sorted(manifests) if manifests[version].kind == "full"]
    oldest = full[-fulls:][0] if full else ""
    pinned = {pin.version, pin.full, *pin.deltas} if pin else set()
    return {version for version, manifest in manifests.items() if version >= oldest or version in pinned or manifest.window == 0}


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
        self._expired: deque[str] = deque()
        self._sweep(set(planned))

    def add(self, manifest: Manifest) -> None:
        """Note a new bundle; a full one decides anew what has expired."""
        self._manifests[manifest.version] = manifest
        if manifest.kind == "full":
            stay = kept(self._manifests, self._fulls, self._storage.pointer("pin"))
            self._expired = deque(sorted(self._manifests.keys() - stay))

    def step(self, versions: int = 2) -> int:
        """Delete up to this many expired versions; how many went."""
        done = 0
        while self._expired and done < versions:
            self._delete(self._expired.popleft())
            done += 1
        return done

    def _delete(self, version: str) -> None:
        gone = self._manifests.pop(version)
        self._storage.objects.delete(self._storage.manifest_key(version))
        self._checkpoints.delete(version)
        for file in set(gone.files.values()) - self._named():
            self._storage.objects.delete(file.key(self._storage.task))

    def _sweep(self, planned: set[str]) -> None:
        """Delete files that no manifest names: what a kill between a file and its manifest left behind."""
        named = planned | {file.key(self._storage.task) for file in self._named()}
        for key in self._storage.objects.list(f"{self._storage.task}/blobs/"):
            if key not in named:
                self._storage.objects.delete(key)

    def _named(self) -> set[File]:
        return _files(self._manifests.values())


def _files(manifests: Iterable[Manifest]) -> set[File]:
    return {file for manifest in manifests for file in manifest.files.values()}
