"""What goes into which bundle: new items bring their texts, and what the gate says of quality sends readers back."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

import numpy as np
import structlog
from numpy.typing import NDArray

from services.updater import recovery
from services.updater.assembly import Beginning, Life, begin
from services.updater.evaluation.prequential import Measured
from services.updater.guards.gate import Gate
from services.updater.history.base import publish_base
from services.updater.learning.catalogue import build
from services.updater.loop import learn
from services.updater.publishing.bundle import Chain, Release
from services.updater.publishing.published import Published
from services.updater.publishing.publisher import Saved
from services.updater.publishing.releases import Position, Releases, Served
from services.updater.publishing.schedule import Schedule
from services.updater.race.challengers import Race
from services.updater.settings import UpdaterSettings
from services.updater.windows.window import Window
from shared.bundles.files import encode_catalogue
from shared.bundles.manifest import Curve, Pointer
from shared.bundles.objects import MemoryObjects
from shared.bundles.reader import BundleReader
from shared.bundles.storage import Storage
from shared.keys import key
from shared.messages import Item, WindowPlan
from shared.origins import Origins
from shared.tasks import GateSettings
from tests import learning
from tests.bundles import a_key

LISTS = 10
log = structlog.stdlib.get_logger()


def a_life(storage: Storage) -> Life:
    """One on a base that knows the catalogue; a full bundle at once, then deltas."""
    learner = learning.learner()
    learner.learn(learning.window(0), 0)
    base = publish_base(storage, learner, [learning.catalogue()], a_key())
    settings = UpdaterSettings(publish_s=0, dense_s=1e9, full_s=1e9)
    beginning = Beginning(recovery.base(storage), Chain(base.version, base.version), 2, ())
    return begin(settings, learning.task(), storage, a_key(), beginning, lambda _: None, log)


def served(storage: Storage, life: Life, number: int, *catalogues: str) -> Pointer:
    """Learn a window, with these catalogue files, and wait until it is served."""
    first = number * LISTS
    plan = WindowPlan(task="ranking", window=number, epoch=2, ranges={"0": (first, first + LISTS)}, catalogues=catalogues)
    windows: list[Window | None] = [Window(plan, [learning.shown(offset) for offset in range(first, first + LISTS)])]
    while True:
        learn(windows, life.student, life.prequential, life.releases, log)
        pointer = storage.pointer("latest")
        assert pointer is not None
        if storage.manifest(pointer.version).window == number:
            return pointer
        windows = [None]
        time.sleep(0.01)


def test_a_delta_brings_the_texts_of_the_items_that_joined_since_the_bundle_before() -> None:
    storage, text = Storage(MemoryObjects(), "ranking"), np.eye(learning.TEXT, dtype=np.float16)[0]
    life = a_life(storage)
    served(storage, life, 1)
    item = Item(item_id="new", time=datetime.now(UTC), title="a new text", category="c0", brand="b0")
    file = storage.put_blob(encode_catalogue(build([item], {"a new text": text}, learning.TEXT)))
    joined = served(storage, life, 2, file.key("ranking"))
    later = served(storage, life, 3)
    life.releases.close()
    assert storage.manifest(joined.version).kind == "delta"
    assert [name for name in storage.manifest(joined.version).files if name.startswith("catalogue")] == ["catalogue-1"]
    for pointer in (joined, later):
        scorer = BundleReader(storage, a_key().public_key()).load(pointer)
        row = scorer.tables["item"].find_one(key("new"))
        assert row > 0
        assert (scorer.texts.vectors[scorer.sides.attributes[row, 2]] == text).all()


@dataclass
class Readers:
    """Stands where the publisher does, and notes what readers are sent to."""

    published: Published
    chain: Chain = field(default_factory=lambda: Chain("base", "base"))
    busy: bool = False
    sent: list[str] = field(default_factory=list)
    kept: frozenset[str] = frozenset()
    last: Release | None = None

    def publish(self, release: Release, saved: Saved | None = None, kept: frozenset[str] = frozenset()) -> None:
        self.sent.append(("everything " if release.anew else "") + str(release.window))
        self.chain, self.kept, self.last = self.chain.then(release), kept, release

    def fall_back(self, chain: Chain, epoch: int) -> None:
        self.sent.append(f"back to {chain.version}")
        self.chain = chain


@dataclass
class Quality:
    """Says what the settled rows say: that learning is as good as the frozen base, or worse."""

    bad: bool = False
    since: float = 0.0
    """When the oldest of the rows was planned."""
    curves: dict[str, Curve] = field(default_factory=dict)
    settled = waiting = ()
    exposures: ClassVar[dict[int, int]] = {}
    tested = 0

    def calibrate(self) -> None:
        self.curves = {"known": Curve((0.0, 1.0), (1.0, 2.0 + len(self.curves)))}

    def measure(self) -> dict[str, float]:
        return {}

    def recent(self) -> Measured | None:
        labels = np.zeros(3_000)
        scores = {"live": 0.9 if self.bad else 0.1, "frozen": 0.1, "served": 0.1}
        rows = {name: np.full(3_000, score) for name, score in scores.items()}
        return Measured(self.since, np.arange(3_000), labels, rows, labels > 0, {})


class Gatekeeper(Gate):
    """Whose canaries may be told to jump."""

    jump = False

    def canaries(self, served: NDArray[np.float32], now: NDArray[np.float32]) -> str:
        return "canary" if self.jump else ""


class Line:
    """Releases of a learner, a full bundle every so many seconds."""

    def __init__(self, full_s: float = 0) -> None:
        learner = learning.learner()
        self.readers = Readers(Published.empty(learner.task.model.capacity, learner.task.model.dim))
        self.quality, self.gate = Quality(), Gatekeeper(GateSettings(rows=2_000))
        schedule = Schedule(publish_s=0, dense_s=0, full_s=full_s, full_deltas=100, checkpoint_s=15.0)
        self._learner, self._window = learner, 0
        self._releases = Releases(Race(learner), self.readers, schedule, self.gate, self.quality, 2, Served(0, {}, ""), "base", log)

    def window(self) -> None:
        """One more, ten seconds later."""
        self._window += 1
        batch = learning.window(20 * self._window)
        self._learner.learn(batch, self._window)
        self._releases.note(self._window, [], batch, [])
        self._releases.offer(Position(self._window, 0, {}, Origins()), 10.0 * self._window)


def test_a_bundle_has_proven_good_once_all_rows_that_the_gate_looks_at_came_after_it() -> None:
    line = Line()
    line.window()  # with a checkpoint: it waits for its proof
    line.window()
    assert line.readers.kept == {"base", "00000001-0002"}
    line.quality.since = time.time()
    line.window()
    line.quality.bad = True
    line.window()
    assert line.readers.sent == ["1", "2", "3", "back to 00000001-0002"]


def test_a_bundle_among_the_rows_that_look_bad_is_not_fallen_back_to() -> None:
    line = Line()
    for _ in range(5):  # more full bundles than are kept, all of them after the oldest row
        line.window()
    line.quality.bad = True
    line.window()
    line.window()
    line.quality.bad = False
    line.window()
    assert line.readers.sent == ["1", "2", "3", "4", "5", "back to base", "everything 8"]


def test_bad_quality_sends_readers_back_although_the_canaries_refused_before() -> None:
    line = Line()
    line.window()
    line.gate.jump = True
    line.window()
    line.quality.bad = True
    line.window()
    assert line.readers.sent == ["1", "back to base"]


def test_a_full_bundle_carries_curves_fitted_for_it_and_the_deltas_after_it_the_same() -> None:
    line, carried = Line(full_s=25), []
    for _ in range(4):  # full, delta, delta, full
        line.window()
        assert line.readers.last
        carried.append(line.readers.last.calibrator)
    assert carried[0] == carried[1] == carried[2] != carried[3] == line.quality.curves
