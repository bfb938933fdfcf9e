"""A promotion in a whole life: the next bundle is a full one, and a restart from before it comes to the weights that are served."""

import time
from dataclasses import replace

import msgspec
import pytest
import structlog

from services.updater import recovery
from services.updater.assembly import Beginning, Life, begin
from services.updater.history.base import publish_base
from services.updater.loop import learn
from services.updater.publishing.bundle import Chain
from services.updater.publishing.releases import Releases
from services.updater.settings import UpdaterSettings
from services.updater.windows.window import Window
from shared.bundles.manifest import Pointer
from shared.bundles.objects import MemoryObjects
from shared.bundles.reader import BundleReader
from shared.bundles.storage import Storage
from shared.errors import BundleRefused
from shared.messages import Example, WindowPlan
from shared.tasks import GateSettings
from tests import learning
from tests.bundles import a_key
from tests.racing import BAD, GOOD, examples, task

WINDOWS = 15
TASK = msgspec.structs.replace(task(BAD, GOOD, calibration=1.0), gate=GateSettings(canary_shift=2.0, rows=10**6))
log = structlog.stdlib.get_logger()


def a_life(storage: Storage, checkpoint: recovery.Checkpoint, chain: Chain, epoch: int) -> Life:
    settings = UpdaterSettings(publish_s=0, dense_s=0, full_s=1e9, full_deltas=1_000, ripe_s=0)
    return begin(settings, TASK, storage, a_key(), Beginning(checkpoint, chain, epoch, ()), lambda _: None, log)


def seldom(some: list[Example]) -> list[Example]:
    """The first list is of a user who never comes again: what a challenger learned of it is in no later delta."""
    impression = msgspec.structs.replace(some[0].impression, user_id="seldom")
    return [msgspec.structs.replace(some[0], impression=impression), *some[1:]]


def pointer(storage: Storage) -> Pointer:
    found = storage.pointer("latest")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def raced() -> tuple[Storage, list[Window], str]:
    """A storage, the windows that a life learned with a promotion among them, and the weights that it ended with."""
    storage = Storage(MemoryObjects(), "ranking")
    learner = learning.learner(TASK)
    base = publish_base(storage, learner, [learning.catalogue()], a_key())
    life = a_life(storage, recovery.base(storage), Chain(base.version, base.version), 2)
    windows = []
    for number in range(1, WINDOWS + 1):
        race = life.student.race.turn()
        plan = WindowPlan(task="ranking", window=number, epoch=2, ranges={}, planned_at=float(number), race=race)
        windows.append(Window(plan, seldom(examples(number)) if number == 1 else examples(number)))
        learn(windows[-1:], life.student, life.prequential, life.releases, log)
        while storage.manifest(pointer(storage).version).window < number:
            learn([None], life.student, life.prequential, life.releases, log)
            time.sleep(0.005)
    life.releases.close()
    return storage, windows, life.student.learner.weights_sha256()


def promotion(windows: list[Window]) -> int:
    return next(window.plan.window for window in windows if window.plan.race and window.plan.race.promotes)


def test_the_bundle_after_a_promotion_is_a_full_one_and_readers_hold_the_new_champions_weights(
    raced: tuple[Storage, list[Window], str],
) -> None:
    storage, windows, weights = raced
    manifests = [storage.manifest(version) for version in storage.versions()]
    assert [one.window for one in manifests if one.kind == "full"] == [0, 1, promotion(windows)]
    assert manifests[-1].weights_sha256 == weights
    BundleReader(storage, a_key().public_key()).load(pointer(storage))  # it compares the hash of all weights
    card = storage.get_blob(storage.manifest(manifests[promotion(windows)].version).files["card"])
    assert b"16 rows a step" in card


def resumed(storage: Storage, windows: list[Window]) -> str:
    """The weights of a life that begins from the checkpoint before the promotion and replays the plans."""
    served = pointer(storage)
    checkpoint = recovery.newest(storage, served)
    assert checkpoint.progress.window < promotion(windows) <= storage.manifest(served.version).window
    life = a_life(storage, checkpoint, Chain.of(served), 3)
    again = [replace(window, replayed=True) for window in windows if window.plan.window > checkpoint.progress.window]
    learn(again, life.student, life.prequential, life.releases, log)
    life.releases.close()
    return life.student.learner.weights_sha256()


def test_a_restart_from_before_the_promotion_comes_to_the_weights_that_are_served(raced: tuple[Storage, list[Window], str]) -> None:
    storage, windows, weights = raced
    assert resumed(storage, windows) == weights


def test_readers_that_were_not_to_begin_anew_would_not_be_where_the_restart_is(
    raced: tuple[Storage, list[Window], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, windows, _ = raced
    monkeypatch.setattr(Releases, "promoted", lambda self: None)
    with pytest.raises(BundleRefused, match="differ from"):
        resumed(storage, windows)
