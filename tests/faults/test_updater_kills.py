"""Killed at any moment, the updater ends with the weights of a fresh run over the same plans."""

import random
import signal
import time
from collections import Counter

import pytest

from services.updater.windows.plans import window_of
from shared.bundles.storage import Storage
from shared.settings import Settings
from tests import lineage
from tests.faults import MARKS, ROUNDS
from tests.faults.load import Load, settle, wrong
from tests.faults.racing_updater import TASK
from tests.updaters import Updaters, until

pytestmark = MARKS

POINTS = ("plan", "planned", "learn", "publish", "pointer", "announce", "checkpoint")
"""Named points of a window's way, in their order."""
UNSERVED = POINTS[:5]
"""Those at which the window is not served yet; later its announcement and its checkpoint alone are on their way."""


def test_kills_at_named_points_and_at_random_change_no_weight(updaters: Updaters, load: Load) -> None:
    chance, cut = random.Random(5), Counter[str]()
    load.start()
    for n, point in enumerate(POINTS * ROUNDS):
        _kill_at(updaters, f"{point}:{1 + n // len(POINTS) % 3}", full_s=1, checkpoint_s=1)
        cut[point] += lineage.unlearned(updaters.settings)
    assert all(cut[point] for point in UNSERVED), cut
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


def test_weights_that_are_not_those_of_the_plans_are_noticed(updaters: Updaters, load: Load) -> None:
    load.start()
    settle(updaters, load)
    lineage.tamper(updaters.settings)
    refusing = updaters.start()
    assert refusing.died() == 1
    assert "differ from" in refusing.log.read_text()
