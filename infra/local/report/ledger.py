"""Every bundle's manifest, kept beside the shopper's log as it appears: the updater deletes old ones, a report needs them all."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from shared.bundles.manifest import Manifest
from shared.bundles.storage import Storage
from shared.errors import BundleRefused


class Ledger:
    """Manifests by version, from the storage and from the folder where earlier ones were kept."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage, self._folder = storage, folder / "manifests"
        self._folder.mkdir(parents=True, exist_ok=True)
        decode = msgspec.json.Decoder(Manifest).decode
        self.manifests: dict[str, Manifest] = {file.stem: decode(file.read_bytes()) for file in self._folder.glob("*.json")}

    def refresh(self) -> Mapping[str, Manifest]:
        """Fetch what is new. May raise :class:`shared.errors.StorageUnavailable`."""
        for version in self._storage.versions():
            if version not in self.manifests:
                self._keep(version)
        return self.manifests

    def _keep(self, version: str) -> None:
        try:
            raw = self._storage.manifest_bytes(version)
        except BundleRefused:  # deleted since it was listed
            return
        partial = self._folder / f"{version}.part"
        partial.write_bytes(raw)
        partial.rename(self._folder / f"{version}.json")
        self.manifests[version] = msgspec.json.decode(raw, type=Manifest)


def base_of(manifests: Mapping[str, Manifest], answered: str) -> str | None:
    """The base bundle (window 0) that this version descends from; ``None`` where a manifest between them is missing."""
    manifest = manifests.get(answered)
    while manifest is not None and manifest.window > 0:
        manifest = manifests.get(manifest.parent or "")
    return manifest.version if manifest else None
