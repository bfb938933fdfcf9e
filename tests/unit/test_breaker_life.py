"""A life that is paused and resumed: what was skipped stands in plans and checkpoint, and a replay makes the same weights."""

import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from services.updater import recovery
from services.updater.assembly import Beginning, Life, begin, student_of
from services.updater.guards import orders
from services.updater.guards.orders import Order
from services.updater.history.base import publish_base
from services.updater.loop import learn
from services.updater.publishing.bundle import Chain
from services.updater.settings import UpdaterSettings
from services.updater.windows.window import Window
from shared.bundles.objects import MemoryObjects
from shared.bundles.signing import signing_key, write_keys
from shared.bundles.storage import Storage
from shared.messages import Example, WindowPlan
from tests import learning

LOG = structlog.stdlib.get_logger()
SIZE = 10


def judged(life: Life, examples: list[Example], plans: list[WindowPlan]) -> Iterator[Window]:
    """Windows as the updater plans them: each is judged before its plan is written."""
    for start in range(0, len(examples), SIZE):
        part = examples[start : start + SIZE]
        verdict = life.judge(part, float(start))
        number = len(plans) + 1
        plans.append(WindowPlan(task="ranking", window=number, epoch=2, ranges={}, without=bool(verdict.skips), verdict=verdict))
        yield Window(plans[-1], part)


def test_what_a_pause_skipped_a_replay_and_a_restart_skip_too(tmp_path: Path) -> None:
    write_keys(tmp_path / "signing.pem", tmp_path / "verify.pem")
    storage, key, task = Storage(MemoryObjects(), "ranking"), signing_key(tmp_path / "signing.pem"), learning.task()
    publish_base(storage, learning.learner(task), [learning.catalogue()], key)
    pointer = storage.pointer("latest")
    assert pointer is not None
    base = recovery.newest(storage, pointer)
    orders.give(storage, Order(paused=True, at=1.0))
    beginning = Beginning(base, Chain.of(pointer), 2, ())
    life = begin(UpdaterSettings(), task, storage, key, beginning, lambda bundle: None, LOG)
    examples, plans = [learning.shown(offset) for offset in range(60)], list[WindowPlan]()
    learn(judged(life, examples[:20], plans), life.student, life.prequential, life.releases, LOG)
    orders.give(storage, Order(paused=False, at=2.0))
    life.control.end()  # looks a last time
    learn(judged(life, examples[20:], plans), life.student, life.prequential, life.releases, LOG)
    life.releases.finish(life.student.position, time.monotonic(), 30.0)
    life.releases.close()
    assert [plan.verdict.skips for plan in plans] == ["paused"] * 2 + [""] * 4

    weights = life.student.learner.weights_sha256()
    again = student_of(task, storage, base)
    for plan, start in zip(plans, range(0, 60, SIZE), strict=True):
        _, batch = again.admit(Window(plan, examples[start : start + SIZE], replayed=True))
        again.race.learn(batch, plan.window)
    assert again.learner.weights_sha256() == weights
    moved = storage.pointer("latest")
    assert moved is not None
    saved = recovery.newest(storage, moved)
    assert (saved.progress.weights_sha256, saved.progress.gaps) == (weights, {"impressions/0": [(0, 19)]})
    assert student_of(task, storage, saved).position.gaps.holds(examples[0].origin)
