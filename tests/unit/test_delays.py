"""What is learned of rows whose outcomes may come late: each way is right in the mean, and late positives are counted."""

import math

import numpy as np
import pytest
import torch

from services.updater.learning.delays import KINDS, Lateness, loss


def grade(
    logit: float, label: float, late: float, counted: float = 1.0, clip: float = 4.0, kind: str = "correct", share: float = 0.0
) -> float:
    """The loss' slope of one row."""
    z = torch.tensor([[logit]], requires_grad=True)
    one = [torch.tensor([[float(value)]]) for value in (label, late, counted)]
    torch.autograd.backward(loss(kind, z, *one, torch.tensor([share]), reference=1, clip=clip))
    assert z.grad is not None
    return z.grad.item()


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@pytest.mark.parametrize("logit", [-6.0, -1.0, 0.0, 2.0])
def test_learning_a_negative_and_then_its_correction_equals_learning_the_positive(logit: float) -> None:
    negative, corrected, positive = grade(logit, 0, 0), grade(logit, 1, 1), grade(logit, 1, 0)
    assert negative + corrected == pytest.approx(positive, abs=1e-6)
    assert negative == pytest.approx(sigmoid(logit), abs=1e-6)


def test_a_correction_takes_back_no_more_than_the_clip() -> None:
    assert grade(5.0, 1, 1, clip=4.0) == pytest.approx(sigmoid(5.0) - 1, abs=1e-6)  # softplus(5) > 4: the positive alone
    assert grade(3.0, 1, 1, clip=4.0) == pytest.approx(-1.0, abs=1e-6)


def test_what_is_not_known_is_not_learned() -> None:
    assert grade(1.0, 1, 0, counted=0) == 0.0


def test_the_loss_is_a_sum_over_a_fixed_batch_size() -> None:
    zeros = torch.zeros(3, 1)
    assert loss("correct", zeros, zeros, zeros, zeros + 1, zeros[0], reference=6, clip=4.0).item() == pytest.approx(
        3 * math.log(2) / 6
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("p", "share"), [(0.02, 0.5), (0.3, 0.9), (0.6, 0.0)])
def test_a_model_that_is_right_moves_nowhere_in_the_mean(kind: str, p: float, share: float) -> None:
    logit = math.log(p / (1 - p))
    early, unknown, late = (
        p * (1 - share),
        1 - p + p * share,
        p * share,
    )  # how often each is seen; a late positive was unknown before
    seen = ((early, 1, 0), (unknown, 0, 0), (late, 1, 1))
    mean = sum(often * grade(logit, y, after, clip=math.inf, kind=kind, share=share) for often, y, after in seen)
    assert mean == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "logit"), [("correct", 30), ("correct", -30), ("weigh", 30), ("weigh", -30), ("expect", 30), ("expect", -30)]
)
def test_the_loss_of_a_wrong_row_is_not_capped(kind: str, logit: float) -> None:
    row, zero = torch.tensor([[float(logit)]]), torch.zeros(1, 1)
    label, one, none = (row < 0).float(), torch.ones(1, 1), torch.zeros(1)
    cost = loss(kind, row, label, late=zero, weights=one, share=none, reference=1, clip=4.0)
    assert cost.item() == pytest.approx(abs(logit), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_says_too_little_is_raised(kind: str) -> None:
    p, share, logit = 0.3, 0.6, -3.0
    seen = ((p * (1 - share), 1, 0), (1 - p + p * share, 0, 0), (p * share, 1, 1))
    assert sum(often * grade(logit, y, after, kind=kind, share=share) for often, y, after in seen) < -0.05


def test_without_late_positives_every_way_is_the_same() -> None:
    for label in (0, 1):
        assert len({round(grade(0.7, label, 0, kind=kind), 6) for kind in KINDS}) == 1


def test_lateness_is_the_share_of_each_labels_positives_and_outlives_a_restart() -> None:
    one, two = Lateness(2), Lateness(2)
    assert one.share().tolist() == [0, 0]
    one.count(np.array([[1, 0], [0, 0], [1, 1]], np.float32), np.array([[0, 0], [0, 0], [1, 1]], np.float32))
    assert one.share().tolist() == [0.5, 1.0]
    two.load(one.state())
    assert two.share().tolist() == [0.5, 1.0]
    one.fade(0.25)
    one.count(np.ones((3, 2), np.float32), np.zeros((3, 2), np.float32))
    assert one.share()[0] == pytest.approx(0.25 / 3.5)
