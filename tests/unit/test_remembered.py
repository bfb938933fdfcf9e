"""What the test step remembers goes through a checkpoint: the next life tests, corrects and judges on as this one would have."""

import numpy as np

from services.updater.evaluation.prequential import Prequential
from services.updater.evaluation.remembered import recall, saved
from services.updater.guards.gate import Gate
from shared.tasks import GateSettings
from tests import learning


def prequential() -> Prequential:
    return Prequential("purchase", ripe_s=10.0, rows=1_000, base=learning.learner())


def shows(prequential: Prequential, offsets: range, planned_at: float, rival: bool = False) -> None:
    model = learning.learner()
    lists = [learning.shown(offset) for offset in offsets]
    prequential.test(model, learning.batch(lists), planned_at, {"two": model} if rival else {})


def test_the_next_life_settles_the_same_rows_with_the_same_labels() -> None:
    one = prequential()
    shows(one, range(1, 5), 100.0)
    one.ripen(110.0)
    shows(one, range(5, 9), 108.0, rival=True)
    for part in (*one.settled, *one.waiting):
        part.young[::2] = True
    other = prequential()
    recall(other, saved(one))
    for life in (one, other):
        life.correct([learning.correction(900, learning.shown(6), index=2)])
        life.ripen(118.0)
    ours, theirs = one.recent(), other.recent()
    assert ours is not None
    assert theirs is not None
    for name in ("labels", "groups", "cold", "young"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
    assert ours.labels.sum() > sum(len(learning.shown(offset).outcomes) for offset in range(1, 9))
    assert all(np.array_equal(ours.scores[name], theirs.scores[name]) for name in ("live", "served", "frozen"))
    assert [sorted(part.rivals) for part in other.settled] == [sorted(part.rivals) for part in one.settled] == [[], ["two"]]
    assert (other.exposures, other.tested) == (one.exposures, one.tested)


def test_the_gate_sees_at_once_what_it_saw_before_the_restart() -> None:
    one, gate = prequential(), Gate(GateSettings(rows=20, margin=0.05))
    shows(one, range(1, 9), 100.0)
    one.ripen(110.0)
    part = one.settled[0]
    part.scores["live"][:] = np.where(part.labels > 0, 0.01, 0.99)
    other = prequential()
    assert gate.quality(other.recent()) == ""
    recall(other, saved(one))
    assert gate.quality(other.recent()) == gate.quality(one.recent()) == "quality_frozen"


def test_a_checkpoint_that_remembers_nothing_leaves_all_as_it_is() -> None:
    one = prequential()
    shows(one, range(1, 3), 100.0)
    recall(one, {"tables/user.values": np.zeros(3)})
    assert len(one.waiting) == 1
