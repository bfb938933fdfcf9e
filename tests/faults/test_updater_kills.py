"""Killed at any moment, the updater ends with the weights of a fresh run over the same plans; a replaced one publishes nothing."""

import asyncio
import os
import random
import threading
import time
from pathlib import Path

import pytest

from shared.bundles.storage import Storage
from shared.settings import Settings
from tests import lineage
from tests.conftest import Engines
from tests.examples import send, stream
from tests.updaters import Updaters, prepared, until

pytestmark = [pytest.mark.engines, pytest.mark.timeout(1_800)]

ROUNDS = int(os.environ.get("FRESHET_FAULT_ROUNDS", "5"))
POINTS = ("plan", "planned", "learn", "publish", "pointer", "announce", "checkpoint")
LISTS = 60
"""For each round."""


class Load:
    """Examples that keep coming while an updater is killed."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self.sent = settings, 0
        self._thread: threading.Thread | None = None

    def start(self, lists: int = LISTS) -> None:
        """Send so many more, over about three seconds."""
        examples = stream(self.sent, lists, self._settings.partitions)
        self.sent += lists
        self._thread = threading.Thread(target=lambda: asyncio.run(send(self._settings, examples, pause=0.8)))
        self._thread.start()

    def wait(self) -> None:
        """Until all are acknowledged."""
        if self._thread:
            self._thread.join()

    @property
    def going(self) -> bool:
        return self._thread is not None and self._thread.is_alive()


def settle(updaters: Updaters, load: Load) -> None:
    """Let a last life learn all that was sent, and stop it in order."""
    load.wait()
    last = updaters.start().ready()
    ends = asyncio.run(lineage.ends(updaters.settings))
    until(lambda: lineage.learned_up_to(updaters.settings) == ends, 120)
    assert last.stop() == 0, last.log.read_text()[-3000:]


def assert_as_a_fresh_run(settings: Settings, lists: int) -> None:
    """Weights of checkpoint and bundle are the oracle's, no outcome is missing from the served line of manifests, none doubled."""
    storage, checkpoint = Storage.connect(settings), lineage.last_checkpoint(settings)
    oracle = lineage.fresh_run(settings)
    assert checkpoint.weights_sha256 == oracle.learner.weights_sha256()
    served = storage.manifest(checkpoint.version)
    assert served.kind == "delta" or served.weights_sha256 == checkpoint.weights_sha256  # a delta's dense part may be older
    assert checkpoint.origins == oracle.position.admission.state()
    learned = sorted(lineage.outcomes(storage))
    wanted = {example.origin: example for example in stream(0, lists, settings.partitions)}
    assert learned == sorted((o.partition, o.offset) for example in wanted.values() for o in example.outcomes)


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_named_point_changes_no_weight(point: str, fresh_settings: Settings, tmp_path: Path) -> None:
    updaters, load = prepared(fresh_settings, tmp_path), Load(fresh_settings)
    for nth in range(1, 1 + max(1, ROUNDS // 5)):
        doomed = updaters.start(failpoint=f"{point}:{nth}").ready()
        load.start()
        until(lambda doomed=doomed: doomed.popen.poll() is not None)
        assert doomed.popen.returncode == -9, doomed.log.read_text()[-3000:]
        load.wait()
    settle(updaters, load)
    assert_as_a_fresh_run(fresh_settings, load.sent)


def test_kills_at_random_change_no_weight(fresh_settings: Settings, tmp_path: Path) -> None:
    updaters, load, chance = prepared(fresh_settings, tmp_path), Load(fresh_settings), random.Random(5)
    for _ in range(ROUNDS):
        doomed = updaters.start().ready()
        load.start()
        time.sleep(chance.uniform(0.3, 2.2))
        assert load.going, "records must be in flight"
        doomed.kill()
        load.wait()
    settle(updaters, load)
    assert_as_a_fresh_run(fresh_settings, load.sent)


def test_of_two_updaters_the_older_is_fenced_off_and_publishes_nothing_more(fresh_settings: Settings, tmp_path: Path) -> None:
    updaters, load = prepared(fresh_settings, tmp_path), Load(fresh_settings)
    older = updaters.start().ready()
    load.start()
    load.wait()
    newer = updaters.start().ready()
    load.start()
    assert older.died() == 1
    assert "Fenced" in older.log.read_text()
    load.wait()
    ends = asyncio.run(lineage.ends(fresh_settings))
    until(lambda: lineage.learned_up_to(fresh_settings) == ends)
    pointer = Storage.connect(fresh_settings).pointer("latest")
    assert newer.stop() == 0
    assert pointer is not None
    assert pointer.epoch == max(lineage.epochs(fresh_settings))
    assert_as_a_fresh_run(fresh_settings, load.sent)


def test_an_updater_that_publishes_blindly_is_seen_to_break_the_line(fresh_settings: Settings, tmp_path: Path) -> None:
    """The safeguard off: weights that are not those of the plans are noticed by the comparison."""
    updaters, load = prepared(fresh_settings, tmp_path), Load(fresh_settings)
    load.start()
    load.wait()
    settle(updaters, load)
    lineage.tamper(fresh_settings)
    refusing = updaters.start()
    assert refusing.died() == 1
    assert "diverged" in refusing.log.read_text() or "differ from" in refusing.log.read_text()


def test_storage_killed_and_started_again_costs_nothing(fresh_settings: Settings, engines: Engines, tmp_path: Path) -> None:
    updaters, load = prepared(fresh_settings, tmp_path), Load(fresh_settings)
    updater = updaters.start().ready()
    for _ in range(max(1, ROUNDS // 5)):
        load.start()
        time.sleep(0.7)
        engines.seaweed.kill()
        time.sleep(1.0)
        engines.seaweed.start()
        load.wait()
    ends = asyncio.run(lineage.ends(fresh_settings))
    until(lambda: lineage.learned_up_to(fresh_settings) == ends)
    assert updater.stop() == 0
    assert_as_a_fresh_run(fresh_settings, load.sent)


def test_kafka_killed_and_started_again_costs_nothing(fresh_settings: Settings, engines: Engines, tmp_path: Path) -> None:
    updaters, load = prepared(fresh_settings, tmp_path), Load(fresh_settings)
    updater = updaters.start().ready()
    load.start()
    time.sleep(0.7)
    engines.kafka.kill()
    engines.kafka.start()
    load.wait()
    if updater.popen.poll() is None:
        updater.stop()
    settle(updaters, load)
    assert_as_a_fresh_run(fresh_settings, load.sent)
