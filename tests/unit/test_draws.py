"""What is drawn many at a time has the shares, spreads and independence of what is drawn one by one."""

import numpy as np
import pytest
import torch

from services.updater.learning.draws import kept, uniform

CPU = torch.device("cpu")
KEYS = np.arange(1, 50_001, dtype=np.uint64)


def test_a_keys_numbers_are_its_own_whoever_else_is_asked_for() -> None:
    all_at_once = uniform(7, 1, KEYS, 16)
    assert np.array_equal(all_at_once[300:302], uniform(7, 1, KEYS[300:302], 16))
    for other in (uniform(8, 1, KEYS, 16), uniform(7, 2, KEYS, 16)):
        assert not np.isclose(all_at_once, other).all(axis=1).any()


def test_numbers_are_even_and_say_nothing_of_each_other() -> None:
    numbers = uniform(7, 1, KEYS, 16)
    assert -1 <= numbers.min() < -0.999
    assert 0.999 < numbers.max() < 1
    assert np.abs(numbers.mean(0)).max() < 0.02
    assert numbers.std(0) == pytest.approx([3**-0.5] * 16, rel=0.02)
    columns = np.concatenate([numbers[1:], numbers[:-1], uniform(8, 1, KEYS, 16)[1:]], axis=1)
    assert np.abs(np.corrcoef(columns.T) - np.eye(48)).max() < 0.03


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
def test_dropout_leaves_out_its_share_and_makes_up_for_it(share: float) -> None:
    torch.manual_seed(7)
    units = kept(2_000, 127, share, CPU)
    assert sorted(units.unique().tolist()) == pytest.approx([0.0, 1 / (1 - share)])
    for place in range(4):  # of the four that share 64 bits
        dropped = (units.flatten()[place::4] == 0).float().mean().item()
        assert dropped == pytest.approx(share, abs=4 * (share / 60_000) ** 0.5 + 2**-16)
    assert units.mean().item() == pytest.approx(1, abs=0.03)


def test_dropout_repeats_itself_from_a_seed_and_not_from_step_to_step() -> None:
    torch.manual_seed(7)
    first, second = kept(16, 64, 0.5, CPU), kept(16, 64, 0.5, CPU)
    assert not torch.equal(first, second)
    torch.manual_seed(7)
    assert torch.equal(kept(16, 64, 0.5, CPU), first)
