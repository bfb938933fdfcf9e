"""The floor under a ranking: one MGET, the same features and the same graph, in a loop without HTTP, JSON or impressions.

``python -m tests.bench.plain.loop TURNS [PAUSE]`` prints the CPU milliseconds of one such turn, for the engines and bucket of the
settings; between two turns it sleeps for PAUSE seconds.
``tests.bench.rank`` runs it in the environment of the service.
"""

import asyncio
import json
import sys
import time

import numpy as np
import uvloop

from services.ranking.store import FeatureStore
from shared.bundles.reader import BundleReader
from shared.bundles.storage import Storage
from shared.keys import key
from shared.settings import Settings
from shared.tasks import RANKING
from tests.bundles import a_key

USERS, ITEMS, CANDIDATES = 200, 20_000, 100


async def measure(settings: Settings, turns: int, pause: float) -> float:
    """CPU milliseconds of a turn."""
    storage = Storage.connect(settings)
    reader = BundleReader(storage, a_key().public_key())
    target = reader.target()
    assert target, "nothing is published: run tests.bench.rank"
    scorer = reader.load(target)
    store = await FeatureStore.connect(settings, RANKING.context)
    random = np.random.default_rng(3)
    prices, context = np.full(CANDIDATES, 2.5), {name: np.zeros(CANDIDATES, np.float32) for name in RANKING.context}
    asked = [[f"i{n}" for n in random.integers(0, ITEMS, CANDIDATES).tolist()] for _ in range(64)]
    for turn in range(turns + 200):
        if turn == 200:
            began = time.process_time()
        seen = await store.read(f"u{turn % USERS}", asked[turn % 64])
        rows = scorer.tables["item"].find(seen.rows.item_keys)
        kinds = scorer.sides.attributes[rows]
        features = seen.assembler.assemble(
            seen.rows,
            scorer.manifest.inputs,
            now=1_700_000_000.0,
            prices=prices,
            categories=scorer.tables["category"].keys[kinds[:, 0]],
            brands=scorer.tables["brand"].keys[kinds[:, 1]],
            context=context,
        )
        scores = scorer.score_rows(features, rows, key(f"u{turn % USERS}"), 1_700_000_000.0)[:, 0]
        np.argsort(-scores, kind="stable")
        if pause:
            await asyncio.sleep(pause)
    spent = (time.process_time() - began) / turns * 1e3
    await store.close()
    return spent


def main() -> None:
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    pause = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    settings = Settings.read()
    if Storage.connect(settings).served() is None:
        print("nothing is published here: tests.bench.rank runs this")
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps({"cpu_ms": runner.run(measure(settings, turns, pause))}))


if __name__ == "__main__":
    main()
