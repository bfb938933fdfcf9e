"""Rehearsal: what is remembered, what is drawn of it, and what a learner makes of that."""

import numpy as np
import pytest
import structlog

from services.updater.history.pretraining import Pretraining
from services.updater.learning.batches import Batcher
from services.updater.learning.learner import Learner
from services.updater.learning.memory import PARTS, Memory
from shared.messages import Inputs
from tests.learning import INPUTS, assortment, batch, correction, learner, same, shown, task, window

LISTS, ITEMS = 20, 5
"""Of a window, and of a list."""


def remembering(rows: int, windows: int) -> Memory:
    """A memory of so many rows that took in so many windows."""
    memory = Memory(rows)
    for number in range(windows):
        memory.remember(window(number * LISTS))
    return memory


def times(memory: Memory) -> list[float]:
    """When the lists that it holds were asked for."""
    return [time for part in memory.draw(len(memory), np.random.default_rng(0)) for time in part.time.tolist()]


def asked(first: int, last: int) -> list[float]:
    """When the lists at these offsets were."""
    return window(first, last - first).time.tolist()


def rehearsing(**settings: object) -> Learner:
    return learner(task(**({"rehearsal": 1.0} | settings)))


@pytest.mark.parametrize("windows", [1, 3, PARTS + 1, 3 * PARTS])
def test_the_newest_windows_are_remembered(windows: int) -> None:
    memory = remembering(250, windows)
    first = max(0, windows - 2) * LISTS
    assert times(memory) == asked(first, windows * LISTS)
    assert len(memory) == windows * LISTS - first


def test_of_a_window_that_is_too_large_its_newest_lists() -> None:
    memory = remembering(38, 1)
    assert times(memory) == asked(LISTS - 7, LISTS)


def test_what_is_drawn_is_what_was_learned_each_once_and_in_its_order() -> None:
    memory = remembering(20_000, PARTS + 3)
    drawn = memory.draw(50, np.random.default_rng(3))
    found = [time for part in drawn for time in part.time.tolist()]
    assert len(found) == len(set(found)) == 50
    assert found == sorted(found)
    for part in drawn:
        for number, time in enumerate(part.time.tolist()):
            offset = round((time - window(0).time[0]) / 60)
            whole, mine = window(offset, 1), part.list == number
            assert part.keys["item"][mine].tolist() == whole.keys["item"].tolist()
            assert part.labels[mine].tolist() == whole.labels.tolist()
            assert np.array_equal(part.candidate_features[mine], whole.candidate_features)
            assert np.array_equal(part.histories.keys[part.history[number]], whole.histories.keys[0])


def test_all_lists_are_drawn_alike() -> None:
    memory, random = remembering(20_000, 3), np.random.default_rng(0)
    draws = [time for _ in range(300) for part in memory.draw(15, random) for time in part.time.tolist()]
    counts = np.unique(draws, return_counts=True)[1]
    assert len(counts) == 3 * LISTS
    assert counts.min() > 75 * 0.6  # each is expected 75 times
    assert counts.max() < 75 * 1.4


def test_a_memory_from_its_state_draws_and_forgets_the_same() -> None:
    one, other = remembering(20_000, PARTS + 5), Memory(20_000)
    other.load(one.state())
    for memory in (one, other):
        memory.remember(window(9_000))
    assert times(one) == times(other)
    assert same(one.state(), other.state())


def test_no_memory_without_rehearsal() -> None:
    plain = learner(task())
    plain.learn(window(0), 1)
    assert not [name for name in plain.state() if name.startswith("memory")]
    assert len(plain.memory) == 0


def test_what_was_learned_before_moves_again() -> None:
    rows = {}
    for name, one in (("rehearses", rehearsing()), ("does not", rehearsing(rehearsal=0.0))):
        one.learn(window(0), 1)
        one.tables.reset()
        one.learn(batch([shown(1_000)]), 2)
        rows[name] = set(one.tables.delta()["item"].rows.tolist())
    assert rows["does not"] < rows["rehearses"]


def test_a_short_window_rehearses_its_share_in_the_mean() -> None:
    one = rehearsing(rehearsal=0.3)
    one.learn(window(0), 1)
    before = one.optimiser.learned
    for number in range(200):
        one.learn(batch([shown(1_000 + number)]), 2 + number)
    again = (one.optimiser.learned - before) / ITEMS - 200
    assert again == pytest.approx(60, abs=25)


def test_an_interrupted_life_goes_on_bit_for_bit() -> None:
    whole, begun = (rehearsing(remembered=400) for _ in range(2))
    for number in range(PARTS + 4):
        whole.learn(window(number * LISTS), number)
        begun.learn(window(number * LISTS), number)
    after = rehearsing(remembered=400)
    after.load(begun.state())
    for number in range(PARTS + 4, PARTS + 8):
        whole.learn(window(number * LISTS), number)
        after.learn(window(number * LISTS), number)
    assert same(whole.state(), after.state())
    forgetful = rehearsing(remembered=400)
    forgetful.load({name: array for name, array in begun.state().items() if not name.startswith("memory")})
    for number in range(PARTS + 4, PARTS + 8):
        forgetful.learn(window(number * LISTS), number)
    assert forgetful.weights_sha256() != whole.weights_sha256()


def test_to_be_rehearsed_is_not_to_be_seen() -> None:
    first = shown(0)
    others = [one for one in map(shown, range(1_000, 1_050)) if one.impression.user_id != first.impression.user_id][:10]
    ours, plain = (rehearsing(rehearsal=rehearsal, admission={"user": ITEMS + 1}) for rehearsal in (1.0, 0.0))
    for number, example in enumerate([first, *others]):
        for one in (ours, plain):
            one.learn(batch([example]), number)
    assert ours.optimiser.learned > plain.optimiser.learned
    assert not ours.tables.owners["user"].find(batch([first]).keys["user"]).any()  # one showing too few
    for mine, theirs in zip(ours.moments.state().values(), plain.moments.state().values(), strict=True):
        assert np.array_equal(mine, theirs)


def test_corrections_are_rehearsed_as_they_came_and_counted_once() -> None:
    one = rehearsing()
    negative = shown(1)
    one.learn(batch([negative]), 1)
    one.learn(batch([correction(50, negative, 2)]), 2)
    kept = one.memory.draw(2, np.random.default_rng(0))
    assert [part.kinds.tolist() for part in kept] == [[False], [True]]
    assert kept[1].late.tolist() == [[1.0]]
    late = one.lateness.late.copy()
    one.learn(window(100), 3)
    assert one.lateness.late <= late


def test_passes_over_history_rehearse_nothing_and_what_came_last_is_remembered() -> None:
    examples, log = [shown(offset) for offset in range(100)], structlog.stdlib.get_logger()
    ours, plain = rehearsing(remembered=150), rehearsing(rehearsal=0.0)
    for one in (ours, plain):
        Pretraining().run(one, Batcher(INPUTS, ("purchase",), assortment()), examples, log)
    assert ours.weights_sha256() == plain.weights_sha256()
    assert times(ours.memory)[-10:] == asked(90, 100)


def test_what_was_learned_with_other_features_is_forgotten() -> None:
    old = rehearsing()
    old.learn(window(0), 1)
    new = learner(task(rehearsal=1.0), Inputs(user=INPUTS.user, candidate=(*INPUTS.candidate, "emerged")))
    new.load(old.state())
    assert len(new.memory) == 0
    new.learn(batch([shown(50, inputs=new.inputs)], new.inputs), 2)
    assert len(new.memory) == 1
