"""From the storage to a served model: fetched, signature and hashes verified, checked whole before anything of it is used."""

from collections.abc import Callable, Iterator

from shared.bundles.files import catalogue_files, decode_catalogue, decode_dense, decode_tables
from shared.bundles.manifest import Manifest, Pointer
from shared.bundles.signing import Verifier, opened
from shared.bundles.storage import Storage
from shared.errors import BundleRefused
from shared.messages import Inputs
from shared.model.scorer import Scorer
from shared.model.texts import Texts
from shared.model.update import Contents, Update, verified, whole


class BundleReader:
    """Reads one task's bundles. Synchronous: a caller on an event loop uses a thread.

    Every method may raise :class:`shared.errors.StorageUnavailable`, and :class:`shared.errors.BundleRefused` with one of the codes
    ``missing``, ``corrupt``, ``forged``, ``inputs``, ``shapes``, ``non_finite``, ``gap``.
    """

    def __init__(self, storage: Storage, key: Verifier, available: Callable[[], Inputs] | None = None) -> None:
        """A reader.

        Args:
            storage: where the bundles lie.
            key: whose signature counts.
            available: tells the dense features that this service can make; ``None`` accepts any (reports, tools).
        """
        self._storage, self._key, self._available = storage, key, available

    def target(self) -> Pointer | None:
        """What should be served now: the pin if there is one, else the latest."""
        return self._storage.served()

    def manifest(self, version: str) -> Manifest:
        """A version's manifest, its signature verified and its inputs available."""
        manifest = opened(self._storage.manifest_bytes(version), self._key)
        if (manifest.version, manifest.task) != (version, self._storage.task):
            raise BundleRefused("forged", f"the manifest of {version} is that of {manifest.task} {manifest.version}")
        self._check_inputs(manifest)
        return manifest

    def fetch(self, version: str, known: Texts | None = None) -> Contents:
        """A bundle's files, without the catalogues that are known."""
        return self._contents(self.manifest(version), known)

    def load(self, target: Pointer, near: Texts | None = None) -> Scorer:
        """The target's full bundle with its deltas, as a scorer of its own.

        Args:
            target: which version.
            near: texts in memory; they are used where the full bundle has the same ones.
        """
        manifest = self.manifest(target.full)
        hashes = [manifest.files[name].sha256 for name in catalogue_files(manifest.files)]
        shared = near if near and tuple(hashes[: len(near.joined)]) == near.joined else None
        scorer = whole(self._contents(manifest, shared), shared)
        for version in target.deltas:
            scorer = Update.prepare(scorer, self.fetch(version)).apply()
        if scorer.manifest.version != target.version:
            raise BundleRefused("gap", f"the pointer's deltas end at {scorer.manifest.version}, not at {target.version}")
        return verified(scorer)

    def _contents(self, manifest: Manifest, known: Texts | None = None) -> Contents:
        files = manifest.files
        if "tables" not in files:
            raise BundleRefused("shapes", f"the bundle {manifest.version} has no tables")
        skip = set(known.joined) if known else set()
        catalogues = [files[name] for name in catalogue_files(files) if files[name].sha256 not in skip]
        return Contents(
            manifest,
            decode_tables(self._storage.get_blob(files["tables"])),
            decode_dense(self._storage.get_blob(files["dense"])) if "dense" in files else None,
            self._storage.get_blob(files["graph"]) if "graph" in files else None,
            {file.sha256: decode_catalogue(self._storage.get_blob(file)) for file in catalogues},
        )

    def _check_inputs(self, manifest: Manifest) -> None:
        if self._available is None:
            return
        wanted = {*manifest.inputs.user, *manifest.inputs.candidate}
        available = self._available()
        missing = sorted(wanted - {*available.user, *available.candidate})
        if missing:
            raise BundleRefused(
                "inputs", f"{manifest.version} reads {', '.join(missing)}, which no plan has: is `feast apply` due?"
            )


def steps(served: str, target: Pointer) -> Iterator[str] | None:
    """The deltas that lead from the served version to the target; ``None`` where only a full bundle does."""
    chain = (target.full, *target.deltas)
    return iter(chain[chain.index(served) + 1 :]) if served in chain and chain[-1] == target.version else None
