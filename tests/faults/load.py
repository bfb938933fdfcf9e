"""Examples that keep coming while updaters are killed, and what must hold once all of them are learned."""

import asyncio
import threading
from collections.abc import Iterator

from shared.bundles.storage import Storage
from shared.messages import Example
from shared.settings import Settings
from shared.tasks import RANKING, Task
from tests import lineage
from tests.examples import send, stream
from tests.updaters import Updaters, until


class Load:
    """Examples that keep coming, about twenty lists a second, while updaters are killed."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self.sent, self._stopping = settings, 0, False
        self._thread = threading.Thread(target=lambda: asyncio.run(send(settings, self._examples(), pause=0.8)), daemon=True)

    def start(self) -> "Load":
        self._thread.start()
        return self

    def stop(self) -> None:
        """Return once all that was sent is acknowledged."""
        self._stopping = True
        if self._thread.ident:
            self._thread.join(120)
            assert not self._thread.is_alive()

    def _examples(self) -> Iterator[Example]:
        while not self._stopping:
            yield from stream(self.sent, 10, self._settings.partitions)
            self.sent += 10


def settle(updaters: Updaters, load: Load, **more: str) -> None:
    """Let a last life learn all that was sent, and stop it in order."""
    load.stop()
    last = updaters.start(**more).ready()
    learned(updaters.settings)
    assert last.stop() == 0, last.log.read_text()[-3000:]


def learned(settings: Settings) -> None:
    """Return once what is served has learned everything."""
    ends = asyncio.run(lineage.ends(settings))
    until(lambda: lineage.learned_up_to(settings) == ends, 120)


def wrong(settings: Settings, lists: int, task: Task = RANKING) -> list[str]:
    """What is not as the oracle has it; no outcome may be missing from the served line of manifests, none doubled."""
    storage, checkpoint = Storage.connect(settings), lineage.last_checkpoint(settings)
    oracle = lineage.fresh_run(settings, task=task)
    served = storage.manifest(checkpoint.version)
    sent = {example.origin: example for example in stream(0, lists, settings.partitions)}
    held = {
        "the checkpoint's weights": checkpoint.weights_sha256 == oracle.learner.weights_sha256(),
        "the bundle's weights": served.kind == "delta" or served.weights_sha256 == checkpoint.weights_sha256,
        "the fence": checkpoint.origins == oracle.position.origins.state(),
        "outcomes": sorted(lineage.outcomes(storage))
        == sorted((o.partition, o.offset) for example in sent.values() for o in example.outcomes),
    }
    return [what for what, holds in held.items() if not holds]
