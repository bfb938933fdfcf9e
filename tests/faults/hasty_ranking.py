"""Ranking without one of its safeguards: what shows that the fault tests can fail.

``python -m tests.faults.hasty_ranking look`` serves bundles as it finds them; ``stay`` does not go on where the storage is away;
``store`` does not where the features' is; ``bound`` keeps every impression until Kafka has it.
"""

import asyncio
import sys
from collections.abc import Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.ranking import __main__ as entry
from services.ranking.impressions import ImpressionLog, Send
from services.ranking.live import LiveModel
from services.ranking.store import FeatureStore, Seen
from shared.bundles import reader
from shared.bundles.files import F4
from shared.bundles.manifest import File, Manifest
from shared.bundles.storage import Storage
from shared.model import update
from shared.model.dense import Dense


def without_look() -> None:
    """Whoever signed it, whatever stands under a file's name, numbers or not."""

    def opened(data: bytes, key: Ed25519PublicKey) -> Manifest:
        return msgspec.json.decode(data, type=Manifest)

    def blob(self: Storage, file: File) -> bytes:
        found = self.objects.read(file.key(self.task))
        assert found is not None
        return found.data

    def dense(weights: dict[str, F4], manifest: Manifest) -> Dense:
        return Dense(weights, manifest.inputs, manifest.dim)

    reader.opened, Storage.get_blob = opened, blob  # type: ignore[method-assign]
    reader.BundleReader._check_inputs = lambda self, manifest: None  # type: ignore[method-assign]
    Dense.checked = staticmethod(dense)  # type: ignore[assignment,method-assign]
    update.check_graph = lambda graph, dense, labels: None


def without_stay() -> None:
    """The pointer must be there to be read."""

    async def advance(self: LiveModel) -> None:
        target = await asyncio.to_thread(self._reader.target)
        if target is not None and (not self.loaded or target.version != self.current.manifest.version):
            await self._move(target)

    LiveModel.advance = advance  # type: ignore[method-assign]


def without_store() -> None:
    """The rows must be there to be read."""

    async def read(self: FeatureStore, user_id: str, item_ids: Sequence[str], *, catalogue: bool = False) -> Seen:
        rows = await self._reader.read(user_id, item_ids, catalogue=catalogue)
        return Seen(rows, self._reader.plans, self._assembler_of(self._reader.plans))

    FeatureStore.read = read  # type: ignore[method-assign]


def without_bound() -> None:
    """As many impressions as come."""
    begin = ImpressionLog.__init__

    def unbounded(self: ImpressionLog, send: Send, capacity: int, largest: int) -> None:
        begin(self, send, sys.maxsize, sys.maxsize)

    ImpressionLog.__init__ = unbounded  # type: ignore[method-assign]


SAFEGUARDS = {"look": without_look, "stay": without_stay, "store": without_store, "bound": without_bound}

if __name__ == "__main__":
    SAFEGUARDS[sys.argv[1]]()
    sys.exit(entry.main())
