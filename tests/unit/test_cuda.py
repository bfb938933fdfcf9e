"""On CUDA: what the learner promises holds as on the CPU, and a recorded step is the step. Skipped where torch finds no GPU."""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.updater.learning.device import choose
from services.updater.learning.learner import Learner
from services.updater.learning.trainer import Trainer
from services.updater.texts.encoder import Encoder
from shared.tasks import Task
from tests import encoders, learning

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
WINDOWS = 4
WAYS = [("row_optimiser", "adagrad"), ("row_optimiser", "ftrl"), ("row_optimiser", "sgd"), ("late", "weigh"), ("late", "expect")]


class Launched(Trainer):
    """Launches each kernel of each step: no record."""

    @property
    def records(self) -> bool:
        return False


def learner(task: Task | None = None, kind: type[Trainer] = Trainer, device: str = "cuda") -> Learner:
    made = Learner(task or learning.task(), learning.INPUTS, learning.assortment(), choose(device))
    made.trainer = kind(made.model, made.optimiser, made.task.learning)
    made.start_at(0.5, learning.window(0).numbers())
    return made


def learned(one: Learner, windows: range = range(WINDOWS)) -> Learner:
    """With steps that are whole, of 16 rows, and shorter ones."""
    for number in windows:
        one.learn(learning.window(17 * number, lists=17), number)
    return one


def apart(one: Learner, other: Learner) -> float:
    """The most that any weight differs by."""
    here, there = one.state(), other.state()
    assert here.keys() == there.keys()
    return max(
        float(np.abs(here[name] - there[name]).max(initial=0)) for name in here if name.endswith("values") or "dense/" in name
    )


@pytest.mark.parametrize(("setting", "value"), WAYS)
def test_the_same_windows_make_the_same_weights_bit_for_bit(setting: str, value: str) -> None:
    task, another = (learning.task(**{setting: value, "seed": seed}) for seed in (7, 8))
    one = learned(learner(task))
    torch.rand(3, device="cuda")  # somebody else's randomness changes nothing
    assert one.weights_sha256() == learned(learner(task)).weights_sha256()
    assert one.weights_sha256() != learned(learner(another)).weights_sha256()


def test_from_a_checkpoint_it_goes_on_bit_for_bit() -> None:
    whole, first, second = learned(learner()), learned(learner(), range(2)), learner()
    second.load(first.state())
    assert learned(second, range(2, WINDOWS)).weights_sha256() == whole.weights_sha256()


@pytest.mark.parametrize(("setting", "value"), WAYS)
def test_a_recorded_step_is_the_step(setting: str, value: str) -> None:
    task = learning.task(**{setting: value, "dropout": 0.0})
    recorded, launched = learned(learner(task)), learned(learner(task, Launched))
    assert recorded.trainer.record is not None
    assert launched.trainer.record is None
    assert apart(recorded, launched) < 1e-6


def test_dropout_draws_anew_in_each_replay() -> None:
    none, some = (learned(learner(learning.task(dropout=share))) for share in (0.0, 0.5))
    assert apart(none, some) > 1e-4


def test_another_record_is_made_when_parts_are_frozen() -> None:
    one = learned(learner())
    one.freeze(("item", "layers"))
    before = one.state()
    after = learned(one, range(WINDOWS, 2 * WINDOWS)).state()
    fixed = [name for name in before if name == "tables/item.values" or name.startswith("dense/layers")]
    assert len(fixed) > 1
    for name in fixed:
        assert np.array_equal(before[name], after[name][: len(before[name])])
    assert not np.array_equal(before["tables/user.values"], after["tables/user.values"][: len(before["tables/user.values"])])


def test_it_learns_and_predicts_what_the_cpu_does() -> None:
    task = learning.task(dropout=0.0)
    there, here = learned(learner(task)), learned(learner(task, device="cpu"))
    assert apart(there, here) < 1e-4
    batch = learning.window(900)
    assert np.abs(there.predict(batch) - here.predict(batch)).max() < 1e-4


def test_a_checkpoint_of_the_cpu_is_carried_on() -> None:
    task = learning.task(dropout=0.0)
    whole, first, second = learned(learner(task)), learned(learner(task, device="cpu"), range(2)), learner(task)
    second.load(first.state())
    assert apart(learned(second, range(2, WINDOWS)), whole) < 1e-4


def test_items_that_join_later_have_their_texts() -> None:
    there, here = learner(device="cuda"), learner(device="cpu")
    for one in (there, here):
        one.predict(learning.window(0))
        one.assortment.add(learning.catalogue(50))
    assert there.assortment.on(there.device).cpu().equal(here.assortment.on(here.device))


def test_texts_have_the_vectors_that_the_cpu_gives(tmp_path: Path) -> None:
    folder = encoders.tiny(tmp_path)
    there, here = (Encoder(folder, torch.device(kind)).encode(encoders.TEXTS) for kind in ("cuda", "cpu"))
    assert np.abs(there - here).max() < 1e-5
