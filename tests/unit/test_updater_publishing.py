"""Bundles: when they are due, what readers hold after them, and what is deleted when."""

import dataclasses
from pathlib import Path

import pytest
import structlog
from prometheus_client import REGISTRY

from services.updater.history.base import publish_base
from services.updater.publishing.bundle import Chain, Composer, Release
from services.updater.publishing.checkpoints import Checkpoints, Progress
from services.updater.publishing.published import Change, Published
from services.updater.publishing.publisher import Publisher, Saved, Track
from services.updater.publishing.retention import Retention, kept
from services.updater.publishing.schedule import Due, Schedule
from services.updater.windows.window import Ledger
from shared.bundles.files import decode_dense, decode_tables
from shared.bundles.manifest import Manifest, version
from shared.bundles.objects import MemoryObjects
from shared.bundles.signing import opened, signing_key, verify_key, write_keys
from shared.bundles.storage import Storage
from shared.errors import BundleRefused, Fenced, StorageUnavailable
from tests import learning

EVERYTHING, ROWS = Due(True, True, False), Due(False, False, False)


def a_schedule() -> Schedule:
    return Schedule(publish_s=0.25, dense_s=2.0, full_s=60.0, full_deltas=3, checkpoint_s=90.0)


def test_everything_is_due_at_first() -> None:
    assert a_schedule().due(0.0) == Due(full=True, dense=True, checkpoint=True)


def test_rows_come_often_the_dense_part_less_a_full_bundle_after_so_many_deltas() -> None:
    schedule = a_schedule()
    schedule.done(Due(True, True, True), 0.0)
    assert schedule.due(0.2) is None
    assert schedule.due(0.3) == ROWS
    schedule.done(ROWS, 0.3)
    assert schedule.due(2.1) == Due(False, True, False)
    schedule.done(Due(False, True, False), 2.1)
    schedule.done(ROWS, 2.4)
    assert schedule.due(2.7) == Due(full=True, dense=True, checkpoint=False)


def test_a_checkpoint_waits_for_its_time_and_a_full_bundle() -> None:
    schedule = a_schedule()
    schedule.done(Due(True, True, True), 0.0)
    assert schedule.due(61.0) == Due(full=True, dense=True, checkpoint=False)
    assert schedule.due(91.0) == Due(full=True, dense=True, checkpoint=True)


@dataclasses.dataclass
class Bench:
    """A learner with a publisher on a bucket in memory."""

    storage: Storage
    publisher: Publisher
    learner: learning.Learner
    keys: Path
    window: int = 0

    def learn(self, due: Due, epoch: int = 2, checkpoint: bool = False) -> Manifest:
        """One more window, published."""
        self.window += 1
        self.learner.learn(learning.window(20 * self.window), self.window)
        change = Change(self.learner.tables.delta(), dict(self.learner.dense()) if due.dense else None)
        self.learner.tables.reset()
        learning_settings = self.learner.task.learning
        release = Release(self.window, epoch, due, change, False, Ledger(), {"0": self.window}, (), {}, 1.0, learning_settings)
        progress = Progress(version=release.version, window=self.window, epoch=epoch, plans_offset=0, offsets={}, origins={})
        self.publisher.publish(release, Saved(progress, self.learner.state()) if checkpoint else None)
        assert self.publisher.drain(10)
        return self.storage.manifest(self.publisher.chain.version)

    def rebuilt(self, *versions: str) -> Published:
        """What a reader holds after these bundles."""
        held = Published.empty(self.learner.task.model.capacity, self.learner.task.model.dim)
        for one in versions:
            files = self.storage.manifest(one).files
            dense = decode_dense(self.storage.get_blob(files["dense"])) if "dense" in files else None
            held.apply(Change(decode_tables(self.storage.get_blob(files["tables"])), dense))
        return held


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return a_bench(Storage(MemoryObjects(), "ranking"), tmp_path)


def a_bench(storage: Storage, folder: Path, keep_fulls: int = 1_000, track: Track | None = None) -> Bench:
    """A base bundle in this storage, and what publishes after it."""
    write_keys(folder / "signing.pem", folder / "verify.pem")
    learner, key = learning.learner(), signing_key(folder / "signing.pem")
    base = publish_base(storage, learner, [], key)
    published = Published.empty(learner.task.model.capacity, learner.task.model.dim)
    published.apply(Change(learner.tables.full(), learner.dense()))
    composer = Composer(learner.task, learner.inputs, learner.trainable(), key)
    chain = Chain(base.version, base.version)
    log = structlog.stdlib.get_logger()
    publisher = Publisher(storage, composer, published, chain, keep_fulls, (), lambda _: None, log, track)
    return Bench(storage, publisher, learner, folder)


def test_deltas_applied_to_the_base_are_the_full_bundle_bit_for_bit(bench: Bench) -> None:
    line = ["00000000-0001", *(bench.learn(due).version for due in (ROWS, Due(False, True, False), ROWS))]
    full = bench.learn(EVERYTHING)
    last = bench.rebuilt(*line)
    last.apply(Change(decode_tables(bench.storage.get_blob(full.files["tables"])), None))
    last.dense = decode_dense(bench.storage.get_blob(full.files["dense"]))
    assert bench.rebuilt(full.version).sha256() == full.weights_sha256 == bench.learner.weights_sha256() == last.sha256()
    for version_ in line[1:]:
        held = bench.rebuilt(*line[: line.index(version_) + 1])
        assert held.sha256() == bench.storage.manifest(version_).weights_sha256


def test_manifests_are_signed_and_name_their_parent(bench: Bench) -> None:
    first, second = bench.learn(EVERYTHING), bench.learn(ROWS)
    key = verify_key(bench.keys / "verify.pem")
    signed = opened(bench.storage.manifest_bytes(second.version), key)
    assert signed.parent == first.version
    assert signed.frozen == ("text",)
    assert {"user", "item", "mean", "scale"} <= set(signed.trainable)
    pointer = bench.storage.pointer("latest")
    assert pointer is not None
    assert (pointer.version, pointer.full, pointer.deltas) == (second.version, first.version, (second.version,))


def test_a_fenced_off_updater_cannot_publish(bench: Bench) -> None:
    bench.learn(EVERYTHING, epoch=2)
    newer = Chain("00000001-0002", "00000001-0002").pointer("ranking", 3, 0.0)
    bench.storage.move_latest(newer)
    with pytest.raises(Fenced):
        bench.learn(ROWS, epoch=2)
    assert bench.storage.pointer("latest") == newer


def test_a_checkpoint_loads_what_was_saved_and_goes_on_bit_for_bit(bench: Bench) -> None:
    saved = bench.learn(EVERYTHING, checkpoint=True)
    progress, state = Checkpoints(bench.storage).load(saved.version)
    again = learning.learner()
    again.load(state)
    for one in (bench.learner, again):
        one.learn(learning.window(500), 99)
    assert progress.window == 1
    assert again.weights_sha256() == bench.learner.weights_sha256()


def test_a_missing_checkpoint_says_which_there_are(bench: Bench) -> None:
    with pytest.raises(BundleRefused, match="there is: 00000000-0001"):
        Checkpoints(bench.storage).load("00000009-0001")


def test_expired_bundles_go_with_their_files_and_pinned_ones_and_the_base_stay(bench: Bench) -> None:
    versions = [bench.learn(EVERYTHING if n % 3 == 0 else ROWS, checkpoint=n % 3 == 0).version for n in range(9)]
    pinned = Chain(versions[0], versions[0]).pointer("ranking", 1, 0.0)
    bench.storage.pin(pinned)
    tenth = bench.learn(EVERYTHING).version
    retention = Retention(bench.storage, 2)
    retention.add(bench.storage.manifest(tenth))
    while retention.step():
        pass
    assert bench.storage.versions() == ["00000000-0001", versions[0], *versions[6:], tenth]
    assert Checkpoints(bench.storage).versions() == ["00000000-0001", versions[0], versions[6]]
    named = {file.key("ranking") for one in bench.storage.versions() for file in bench.storage.manifest(one).files.values()}
    assert set(bench.storage.objects.list("ranking/blobs/")) == named


def test_what_is_pinned_after_it_expired_stays_with_all_that_it_rests_on(bench: Bench) -> None:
    full, *deltas = [bench.learn(EVERYTHING if n == 0 else ROWS).version for n in range(4)]
    newest = [bench.learn(EVERYTHING).version for _ in range(2)]
    retention = Retention(bench.storage, 2)
    retention.add(bench.storage.manifest(newest[-1]))
    bench.storage.pin(Chain(deltas[1], full, tuple(deltas[:2])).pointer("ranking", 1, 0.0))
    while retention.step():
        pass
    assert bench.storage.versions() == ["00000000-0001", full, *deltas[:2], *newest]
    assert bench.rebuilt(full, *deltas[:2]).sha256() == bench.storage.manifest(deltas[1]).weights_sha256
    bench.storage.unpin()
    retention.add(bench.storage.manifest(newest[-1]))
    while retention.step():
        pass
    assert bench.storage.versions() == ["00000000-0001", *newest]


def test_a_start_deletes_files_that_nothing_names_and_leaves_what_is_planned(bench: Bench) -> None:
    left, planned = bench.storage.put_blob(b"left"), bench.storage.put_blob(b"planned")
    Retention(bench.storage, 2, [planned.key("ranking")])
    assert bench.storage.objects.read(left.key("ranking")) is None
    assert bench.storage.objects.read(planned.key("ranking")) is not None


def test_deltas_after_the_oldest_kept_full_bundle_stay() -> None:
    kinds = {version(n, 1): "full" if n in (0, 2, 5) else "delta" for n in range(7)}

    @dataclasses.dataclass
    class Line:
        kind: str
        window: int

    manifests = {one: Line(kind, int(one[:8])) for one, kind in kinds.items()}
    assert kept(manifests, 2, None, (), ()) == {version(n, 1) for n in (0, 2, 3, 4, 5, 6)}  # type: ignore[arg-type]


def test_what_a_restart_and_a_fall_back_need_stays_with_its_checkpoint(bench: Bench) -> None:
    proven = bench.learn(EVERYTHING, checkpoint=True).version
    bench.learn(EVERYTHING)
    restart = bench.learn(EVERYTHING, checkpoint=True).version
    fulls = [bench.learn(EVERYTHING).version for _ in range(3)]
    retention = Retention(bench.storage, 2)
    retention.add(bench.storage.manifest(fulls[-1]), keep={proven})
    while retention.step():
        pass
    assert bench.storage.versions() == ["00000000-0001", proven, restart, *fulls[1:]]
    assert Checkpoints(bench.storage).versions() == ["00000000-0001", proven, restart]


class Flickering(MemoryObjects):
    """A storage that is away when something is deleted first, and once later."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def delete(self, key: str) -> None:
        self.asked += 1
        if self.asked in (1, 4):
            raise StorageUnavailable("away for a moment")
        super().delete(key)


def test_a_storage_that_is_away_while_old_bundles_are_deleted_stops_nothing(tmp_path: Path) -> None:
    bench = a_bench(Storage(Flickering(), "ranking"), tmp_path, keep_fulls=1)
    for _ in range(4):
        last = bench.learn(EVERYTHING)
    assert bench.storage.versions() == ["00000000-0001", last.version]


class Holding(MemoryObjects):
    """A storage that, where it is told to, is away once before the pointer moves."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[float] = []
        self.away = False

    def replace(self, key: str, data: bytes, etag: str) -> str:
        if self.away:
            self.away = False
            self.held.append(went_back())
            raise StorageUnavailable("away for a moment")
        return super().replace(key, data, etag)


def went_back() -> float:
    """How often the pointer went back, as it is counted."""
    return REGISTRY.get_sample_value("updater_fallbacks_total") or 0.0


def test_a_fall_back_is_counted_once_the_pointer_has_moved(tmp_path: Path) -> None:
    objects = Holding()
    bench = a_bench(Storage(objects, "ranking"), tmp_path)
    proven, _ = bench.learn(EVERYTHING).version, bench.learn(EVERYTHING)
    before, objects.away = went_back(), True
    bench.publisher.fall_back(Chain(proven, proven), 2)
    assert bench.publisher.drain(10)
    pointer = bench.storage.pointer("latest")
    assert pointer is not None
    assert (pointer.version, objects.held, went_back()) == (proven, [before], before + 1)
