"""Storage or Kafka killed under load and started again, the updater loses nothing and ends with the oracle's weights."""

import signal
import time

import psutil

from tests.conftest import Engines
from tests.faults import MARKS, ROUNDS
from tests.faults.load import Load, learned, wrong
from tests.updaters import Process, Updaters, until

pytestmark = MARKS


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
