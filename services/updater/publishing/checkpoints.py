"""Checkpoints: all that a learner needs to go on as if nothing had happened. safetensors and JSON, never pickle.

    <task>/checkpoints/<version>/state.safetensors    the learner's arrays
    <task>/checkpoints/<version>/progress.json        what they contain; written last

A checkpoint belongs to a bundle of the same version, so that a restart can compare what it rebuilt with what is served.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from services.updater.race.standings import Standing
from shared.bundles.manifest import File
from shared.bundles.objects import Lost
from shared.bundles.storage import Storage
from shared.errors import BundleRefused, Fenced

Arrays = Mapping[str, NDArray[Any]]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Which prefix of the log a checkpoint holds."""

    version: str
    window: int
    epoch: int
    plans_offset: int
    """Of ``windows.<task>``: the offset after this window's plan."""
    offsets: dict[str, int]
    """Partition of ``examples.<task>`` → next offset to learn."""
    origins: dict[str, int]
    """``topic/partition`` of an origin → highest offset learned."""
    gaps: dict[str, list[tuple[int, int]]] = {}
    """The same → first and last offset of what below it was passed over."""
    catalogues: tuple[File, ...] = ()
    """Every catalogue file so far, in order."""
    weights_sha256: str = ""
    good: str = ""
    """The full bundle that had proven good by then; empty for the base."""
    race: Standing | None = None
    """The champion's and the challengers' settings and evidence; ``None`` before the first window."""


class Checkpoints:
    """One task's checkpoints in its storage. Any method may raise :class:`shared.errors.StorageUnavailable`."""

    def __init__(self, storage: Storage) -> None:
        self._objects, self._folder = storage.objects, f"{storage.task}/checkpoints"

    def save(self, progress: Progress, state: Arrays) -> None:
        """Write both files, the progress last. The same checkpoint again is harmless.

        Raises:
            Fenced: another checkpoint of this version stands.
        """
        arrays = {name: np.asarray(state[name], order="C") for name in sorted(state)}
        self._create(self._key(progress.version, "state.safetensors"), save(arrays))
        self._create(self._key(progress.version, "progress.json"), msgspec.json.encode(progress, order="sorted"))

    def load(self, version: str) -> tuple[Progress, dict[str, NDArray[Any]]]:
        """A checkpoint's two files.

        Raises:
            BundleRefused: ``missing`` or ``corrupt``.
        """
        state = self._read(version, "state.safetensors")
        try:
            return self.progress(version), load(state)
        except SafetensorError as error:
            raise BundleRefused("corrupt", f"the checkpoint of {version} cannot be read: {error}") from None

    def progress(self, version: str) -> Progress:
        """What a checkpoint says of itself.

        Raises:
            BundleRefused: ``missing`` or ``corrupt``.
        """
        try:
            return msgspec.json.decode(self._read(version, "progress.json"), type=Progress)
        except msgspec.MsgspecError as error:
            raise BundleRefused("corrupt", f"the checkpoint of {version} cannot be read: {error}") from None

    def versions(self) -> list[str]:
        """Those that are whole, oldest first."""
        return [key.split("/")[-2] for key in self._objects.list(f"{self._folder}/") if key.endswith("/progress.json")]

    def delete(self, version: str) -> None:
        """Remove one, its progress first."""
        for name in ("progress.json", "state.safetensors"):
            self._objects.delete(self._key(version, name))

    def _read(self, version: str, name: str) -> bytes:
        found = self._objects.read(self._key(version, name))
        if found is None:
            there = ", ".join(self.versions()) or "none"
            raise BundleRefused("missing", f"there is no checkpoint of {version}; there is: {there}")
        return found.data

    def _create(self, key: str, data: bytes) -> None:
        try:
            self._objects.create(key, data)
        except Lost:
            found = self._objects.read(key)
            if found is None or found.data != data:
                raise Fenced(f"another updater wrote {key} already") from None

    def _key(self, version: str, name: str) -> str:
        return f"{self._folder}/{version}/{name}"
