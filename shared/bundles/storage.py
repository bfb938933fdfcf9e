"""Where bundles lie: content-addressed blobs, manifests written once, and the two pointers. Keys are in ``manifest.py``.

Synchronous: a caller on an event loop uses a thread. Any method may raise :class:`shared.errors.StorageUnavailable`, after which
the same call may be made again.
"""

import hashlib
from contextlib import suppress
from typing import Literal

import msgspec

from shared.bundles.manifest import File, Manifest, Pointer
from shared.bundles.objects import Lost, Objects, S3Objects
from shared.errors import BundleRefused, Fenced
from shared.settings import Settings

PointerName = Literal["latest", "pin"]

_pointers = msgspec.json.Decoder(Pointer)
_manifests = msgspec.json.Decoder(Manifest)


class Storage:
    """One task's bundles in a bucket."""

    def __init__(self, objects: Objects, task: str) -> None:
        self.objects, self.task = objects, task

    @classmethod
    def connect(cls, settings: Settings) -> "Storage":
        """The storage that the settings name. No request is made yet."""
        return cls(S3Objects.connect(settings), settings.task)

    def put_blob(self, data: bytes) -> File:
        """Store a file under its own hash; a repeat is harmless."""
        file = File(hashlib.sha256(data).hexdigest(), len(data))
        with suppress(Lost):  # the same bytes are there already
            self.objects.create(file.key(self.task), data)
        return file

    def get_blob(self, file: File) -> bytes:
        """The file's bytes.

        Raises:
            BundleRefused: ``corrupt``: it is missing, or its bytes are not those that the manifest names.
        """
        found = self.objects.read(file.key(self.task))
        if found is None:
            raise BundleRefused("corrupt", f"the file {file.sha256} is not in the storage")
        if len(found.data) != file.size or hashlib.sha256(found.data).hexdigest() != file.sha256:
            raise BundleRefused("corrupt", f"the file {file.sha256} does not have the bytes that its name says")
        return found.data

    def manifest_key(self, version: str) -> str:
        """Where a version's manifest lies."""
        return f"{self.task}/bundles/{version}/manifest.json"

    def put_manifest(self, manifest: Manifest) -> str:
        """Write a version's manifest, once; returns its key. The same manifest again is harmless.

        Raises:
            Fenced: another manifest of this version stands: somebody else is publishing.
        """
        key, data = self.manifest_key(manifest.version), msgspec.json.encode(manifest, order="sorted")
        try:
            self.objects.create(key, data)
        except Lost:
            found = self.objects.read(key)
            if found is None or found.data != data:
                raise Fenced(f"another bundle {manifest.version} of {self.task} is published already") from None
        return key

    def manifest_bytes(self, version: str) -> bytes:
        """A version's manifest as written: what its signature is about.

        Raises:
            BundleRefused: ``missing``.
        """
        found = self.objects.read(self.manifest_key(version))
        if found is None:
            raise BundleRefused("missing", f"there is no bundle {version} of {self.task}")
        return found.data

    def manifest(self, version: str) -> Manifest:
        """A version's manifest, its signature not checked (``signing.opened`` does that).

        Raises:
            BundleRefused: ``missing`` or ``corrupt``.
        """
        try:
            return _manifests.decode(self.manifest_bytes(version))
        except msgspec.MsgspecError as error:
            raise BundleRefused("corrupt", f"the manifest of {version} cannot be read: {error}") from None

    def line(self, version: str) -> list[Manifest]:
        """What a reader without any bundle loads to hold a version: its full bundle's manifest, then each delta's up to it.

        Raises:
            BundleRefused: ``missing``: one of them was deleted. ``corrupt``: one cannot be read, or is a delta without a parent.
        """
        manifests = [self.manifest(version)]
        while (first := manifests[0]).kind == "delta":
            if first.parent is None:
                raise BundleRefused("corrupt", f"the delta {first.version} names no parent")
            manifests.insert(0, self.manifest(first.parent))
        return manifests

    def versions(self) -> list[str]:
        """Every version that has a manifest, oldest first."""
        keys = self.objects.list(f"{self.task}/bundles/")
        return [key.split("/")[-2] for key in keys if key.endswith("/manifest.json")]

    def pointer(self, name: PointerName) -> Pointer | None:
        """The updater's pointer (``latest``) or the operator's (``pin``), if there is one.

        Raises:
            BundleRefused: ``corrupt``.
        """
        found = self.objects.read(self._pointer_key(name))
        return None if found is None else self._decoded(name, found.data)

    def served(self) -> Pointer | None:
        """What should be served now: the pin if there is one, else the latest."""
        return self.pointer("pin") or self.pointer("latest")

    def move_latest(self, pointer: Pointer) -> None:
        """Point at another version, by compare-and-swap.

        The epoch alone decides who may: its owner may go back to an older version.

        Raises:
            Fenced: a pointer of a higher epoch stands; this writer has been replaced and must stop.
        """
        self._move("latest", pointer, fence=True)

    def pin(self, pointer: Pointer) -> None:
        """Make ranking serve this version until :meth:`unpin`."""
        self._move("pin", pointer, fence=False)

    def unpin(self) -> None:
        """Let ranking follow the latest again."""
        self.objects.delete(self._pointer_key("pin"))

    def _move(self, name: PointerName, pointer: Pointer, *, fence: bool) -> None:
        key, data = self._pointer_key(name), msgspec.json.encode(pointer)
        while True:  # each turn means that another writer won one
            found = self.objects.read(key)
            if found is not None and fence and (current := self._decoded(name, found.data)).epoch > pointer.epoch:
                raise Fenced(f"{name}.json of {self.task} is at epoch {current.epoch}, this writer's is {pointer.epoch}")
            try:
                self.objects.create(key, data) if found is None else self.objects.replace(key, data, found.etag)
                return
            except Lost:
                continue

    def _pointer_key(self, name: PointerName) -> str:
        return f"{self.task}/{name}.json"

    def _decoded(self, name: PointerName, data: bytes) -> Pointer:
        try:
            return _pointers.decode(data)
        except msgspec.MsgspecError as error:
            raise BundleRefused("corrupt", f"{name}.json of {self.task} cannot be read: {error}") from None
