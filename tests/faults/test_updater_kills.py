"""Killed at any moment, the updater ends with the weights of a fresh run over the same plans; a replaced one publishes nothing."""

import asyncio
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.updater.windows.plans import window_of
from shared.bundles.storage import Storage
from shared.messages import Example
from shared.settings import Settings
from shared.tasks import RANKING, Task
from tests import lineage
from tests.conftest import Engines
from tests.examples import send, stream
from tests.faults import MARKS, ROUNDS
from tests.faults.racing_updater import TASK
from tests.updaters import Process, Updaters, prepared, until

pytestmark = MARKS

POINTS = ("plan", "planned", "learn", "publish", "pointer", "announce", "checkpoint")
"""Named points of a window's way, in their order."""


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


@pytest.fixture
def updaters(fresh_settings: Settings, tmp_path: Path) -> Iterator[Updaters]:
    """Those that a test starts are gone after it."""
    made = prepared(fresh_settings, tmp_path)
    yield made
    made.kill()


@pytest.fixture
def load(updaters: Updaters) -> Iterator[Load]:
    made = Load(updaters.settings)
    yield made
    made.stop()


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


def test_kills_at_named_points_and_at_random_change_no_weight(updaters: Updaters, load: Load) -> None:
    chance = random.Random(5)
    load.start()
    for n, point in enumerate(POINTS * ROUNDS):
        _kill_at(updaters, f"{point}:{1 + n // len(POINTS) % 3}", full_s=1, checkpoint_s=1)
    for _ in range(ROUNDS):
        assert _kill_in_flight(updaters, chance) > 0
    settle(updaters, load)
    assert wrong(updaters.settings, load.sent) == []


def _kill_in_flight(updaters: Updaters, chance: random.Random, **more: object) -> int:
    """Kill an updater at a random moment with examples on their way into what is served; returns how many there were."""
    doomed = updaters.start(**more).ready()
    time.sleep(chance.uniform(0.1, 1.5))
    while not (flying := lineage.unlearned(updaters.settings)):
        time.sleep(0.02)
    doomed.kill()
    assert doomed.died() == -signal.SIGKILL, doomed.log.read_text()[-3000:]
    return flying


def _kill_at(updaters: Updaters, point: str, **more: object) -> None:
    doomed = updaters.start(failpoint=point, **more)
    assert doomed.died() == -signal.SIGKILL, doomed.log.read_text()[-3000:]


@pytest.mark.parametrize("point", ["publish:3", ""])
def test_what_a_killed_one_had_learned_would_be_lost_were_its_plans_not_learned_again(
    point: str, updaters: Updaters, load: Load
) -> None:
    load.start()
    if point:
        _kill_at(updaters, point, checkpoint_s=1000)
    else:
        _kill_in_flight(updaters, random.Random(5), checkpoint_s=1000)
    before = load.sent
    until(lambda: load.sent >= before + 20)  # for a next window
    settle(updaters, load, without="replay")
    assert "the checkpoint's weights" in wrong(updaters.settings, load.sent)


def test_kills_around_a_promotion_change_no_weight(updaters: Updaters, load: Load) -> None:
    racing = {"module": "tests.faults.racing_updater"}
    load.start()
    for _ in range(max(1, ROUNDS // 5)):
        for n, point in enumerate(POINTS):
            _kill_at(updaters, f"{point}:{1 + n % 3}", full_s=1, checkpoint_s=1, **racing)
        doomed = updaters.start(full_s=1, checkpoint_s=1, **racing).ready()
        until(lambda doomed=doomed: _promotion(updaters.settings) > 0 or doomed.popen.poll() is not None, 180)
        doomed.kill()
    settle(updaters, load, **racing)
    assert _promotion(updaters.settings)
    assert wrong(updaters.settings, load.sent, TASK) == []


def _promotion(settings: Settings) -> int:
    """The window whose plan has promoted a challenger; 0 before there is one."""
    return next((plan.window for plan in lineage.planned(settings).lineage if plan.race and plan.race.promotes), 0)


def test_a_promotion_that_its_plan_tells_in_vain_is_noticed(updaters: Updaters, load: Load) -> None:
    load.start()
    doomed = updaters.start(module="tests.faults.racing_updater", checkpoint_s=1000).ready()
    until(lambda: _promotion(updaters.settings) > 0, 180)
    promotion = _promotion(updaters.settings)
    until(lambda: _served_window(updaters.settings) >= promotion)
    doomed.kill()
    load.stop()
    hasty = updaters.start(without="turn")
    assert hasty.died() == 1
    assert "differ from" in hasty.log.read_text()


def _served_window(settings: Settings) -> int:
    pointer = Storage.connect(settings).pointer("latest")
    assert pointer is not None
    return window_of(pointer.version)


def _pointed_at(settings: Settings) -> int:
    """The epoch of the updater that moved the pointer last."""
    pointer = Storage.connect(settings).pointer("latest")
    assert pointer is not None
    return pointer.epoch


def test_of_two_updaters_the_older_is_fenced_off_and_publishes_nothing_more(updaters: Updaters, load: Load) -> None:
    older = updaters.start().ready()
    load.start()
    newer = updaters.start().ready()
    assert older.died() == 1
    assert "Fenced" in older.log.read_text()
    load.stop()
    learned(updaters.settings)
    assert newer.stop() == 0
    assert _pointed_at(updaters.settings) == max(lineage.epochs(updaters.settings))
    assert wrong(updaters.settings, load.sent) == []


def test_without_epochs_the_older_would_take_the_pointer_back(updaters: Updaters, load: Load) -> None:
    older = updaters.start(without="epoch").ready()
    load.start()
    newer = updaters.start().ready()
    mine = max(lineage.epochs(updaters.settings))
    until(lambda: _pointed_at(updaters.settings) < mine)
    load.stop()
    assert older.popen.poll() is None
    for updater in (older, newer):
        updater.kill()


def _frozen(updaters: Updaters, load: Load, **more: str) -> tuple[Process, Process]:
    """An updater freezes when it has stored a bundle's files, and is woken when a newer one holds the pointer; both of them."""
    older = updaters.start(failpoint="publish:2:freeze", **more)
    load.start()
    until(lambda: psutil.Process(older.popen.pid).status() == psutil.STATUS_STOPPED, 180)
    newer = updaters.start().ready()
    until(lambda: _pointed_at(updaters.settings) == max(lineage.epochs(updaters.settings)))
    older.popen.send_signal(signal.SIGCONT)
    return older, newer


def test_frozen_and_resumed_beside_a_newer_one_it_is_fenced_off(updaters: Updaters, load: Load) -> None:
    older, newer = _frozen(updaters, load)
    mine = max(lineage.epochs(updaters.settings))
    until(lambda: _pointed_at(updaters.settings) != mine or older.popen.poll() is not None)
    assert older.died() == 1
    assert "Fenced" in older.log.read_text()
    load.stop()
    learned(updaters.settings)
    assert newer.stop() == 0
    assert _pointed_at(updaters.settings) == mine
    assert wrong(updaters.settings, load.sent) == []


def test_without_epochs_a_resumed_one_would_take_the_pointer_back(updaters: Updaters, load: Load) -> None:
    _, newer = _frozen(updaters, load, without="epoch")
    newer.kill()  # or it would take the pointer again before anybody looks
    mine = max(lineage.epochs(updaters.settings))
    until(lambda: _pointed_at(updaters.settings) < mine)


def test_weights_that_are_not_those_of_the_plans_are_noticed(updaters: Updaters, load: Load) -> None:
    load.start()
    settle(updaters, load)
    lineage.tamper(updaters.settings)
    refusing = updaters.start()
    assert refusing.died() == 1
    assert "differ from" in refusing.log.read_text()


def _without_storage(updaters: Updaters, load: Load, engines: Engines, **more: str) -> list[str]:
    """The storage is killed under load and started again; what is wrong afterwards."""
    updater = updaters.start(**more).ready()
    load.start()
    for _ in range(max(1, ROUNDS // 5)):
        time.sleep(0.7)
        engines.seaweed.kill()
        time.sleep(1.0)
        engines.seaweed.start()
    load.stop()
    learned(updaters.settings)
    assert updater.stop() == 0
    return wrong(updaters.settings, load.sent)


def test_storage_killed_and_started_again_costs_nothing(updaters: Updaters, load: Load, engines: Engines) -> None:
    assert _without_storage(updaters, load, engines) == []


def test_a_bundle_that_is_not_sent_again_would_leave_outcomes_out(updaters: Updaters, load: Load, engines: Engines) -> None:
    assert "outcomes" in _without_storage(updaters, load, engines, without="again")


def _without_kafka(updaters: Updaters, load: Load, engines: Engines, **more: str) -> Process:
    """Kafka is killed when a window is read and its plan not yet written, then the updater; the life after that."""
    updater = updaters.start(failpoint="plan:3:freeze", **more).ready()
    load.start()
    until(lambda: psutil.Process(updater.popen.pid).status() == psutil.STATUS_STOPPED)
    engines.kafka.kill()
    updater.popen.send_signal(signal.SIGCONT)
    time.sleep(1.0)  # to learn and publish what it has
    updater.kill()
    engines.kafka.start()
    return updaters.start()


def test_kafka_killed_and_started_again_costs_nothing(updaters: Updaters, load: Load, engines: Engines) -> None:
    last = _without_kafka(updaters, load, engines).ready()
    for _ in range(max(1, ROUNDS // 5)):
        time.sleep(0.7)
        engines.kafka.kill()
        engines.kafka.start()
    load.stop()
    learned(updaters.settings)
    assert last.stop() == 0, last.log.read_text()[-3000:]
    assert wrong(updaters.settings, load.sent) == []


def test_a_window_learned_before_its_plan_is_written_would_be_lost(updaters: Updaters, load: Load, engines: Engines) -> None:
    last = _without_kafka(updaters, load, engines, without="plan")
    assert last.died() == 1
    assert "differ from" in last.log.read_text()
