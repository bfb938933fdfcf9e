"""How small a delta is: ``python -m tests.bench.delta_size BUCKET`` compares the deltas of a stack's bundles with its full ones.

Counts the trainable bytes, those of tables and dense weights: catalogues never change, graphs repeat the dense weights. The goal
is a median delta of at most 1/20 of the full bundle before it.
"""

import statistics
import sys

from shared.bundles.manifest import Manifest
from shared.bundles.storage import Storage
from shared.settings import Settings

GOAL = 1 / 20
ROLES = ("tables", "dense")


def trainable(manifest: Manifest) -> int:
    """Bytes of a bundle's own weights."""
    return sum(manifest.files[role].size for role in ROLES if role in manifest.files)


def shares(manifests: list[Manifest]) -> list[float]:
    """Each delta's size as a share of the newest full bundle before it."""
    full, found = 0, []
    for manifest in manifests:
        if manifest.kind == "full":
            full = trainable(manifest)
        elif full:
            found.append(trainable(manifest) / full)
    return found


def main(settings: Settings) -> int:
    """Print the shares; 1 if the goal is missed or there is nothing to compare."""
    storage = Storage.connect(settings)
    found = shares([storage.manifest(version) for version in storage.versions()])
    if not found:
        print("no delta to compare: let a stack run for some seconds first")
        return 1
    median, largest = statistics.median(found), max(found)
    print(f"{len(found)} deltas: median 1/{1 / median:.0f} of the full bundle's trainable bytes, largest 1/{1 / largest:.0f}")
    return int(median > GOAL)


if __name__ == "__main__":
    sys.exit(main(Settings.read(**({"bucket": sys.argv[1]} if len(sys.argv) > 1 else {}))))
