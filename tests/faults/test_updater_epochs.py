"""Of two updaters the one of the older epoch is fenced off: replaced, or frozen and resumed, it publishes nothing more."""

import signal

import psutil

from shared.bundles.storage import Storage
from shared.settings import Settings
from tests import lineage
from tests.faults import MARKS
from tests.faults.load import Load, learned, wrong
from tests.updaters import Process, Updaters, until

pytestmark = MARKS


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
