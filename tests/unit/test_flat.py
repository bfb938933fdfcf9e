"""Weights side by side: the module's own are views, and so are their gradients."""

import torch
from torch import nn

from services.updater.learning.flat import ALIGNED, Flat


def module() -> nn.Module:
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 1))


def test_a_module_computes_what_it_did() -> None:
    plain, flat = module(), module()
    Flat(flat)
    given = torch.randn(4, 3)
    assert torch.equal(plain(given), flat(given))


def test_what_moves_the_one_tensor_moves_the_module() -> None:
    one = module()
    flat = Flat(one)
    flat.weights.fill_(2.0)
    assert all((weight == 2).all() for weight in one.parameters())
    assert all(weight.data_ptr() % (4 * ALIGNED) == 0 for weight in one.parameters())


def test_gradients_stand_in_the_one_tensor_and_add_up_until_they_are_forgotten() -> None:
    plain, one = module(), module()
    flat, given = Flat(one), torch.randn(4, 3)
    for each in (plain, one):
        for _ in range(2):
            each(given).sum().backward()
    for name, weight in plain.named_parameters():
        assert weight.grad is not None
        assert torch.equal(flat.named(flat.gradients)[name], weight.grad)
    flat.gradients.zero_()
    assert all(weight.grad is not None and not weight.grad.any() for weight in one.parameters())
