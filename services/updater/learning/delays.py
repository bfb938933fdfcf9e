"""What is made of labels that come late: a list is learned before all its outcomes are known.

A late positive follows as a correction. How often that happens is counted, by label: the share of the positives that are late.
With p the model's probability, q that share, and what is learned of a row where its outcome has not come (y = 0) or has (y = 1):

    correct   y = 0: a negative; a late positive pays its own loss less the negative's, at most ``clip`` of it
    weigh     every positive and negative counts as much more or less as it is rarer or more frequent than in truth, where late
              positives are in twice (importance weights of fake negatives; Ktena et al., 2019):
              y = 1: 1 + p·q;  y = 0: (1 - p)(1 + p·q) / (1 - p + p·q)
    expect    y = 0: positive with the probability that one is to come, p·q / (1 - p + p·q) (a delay model; after Chapelle, 2014);
              late positives are counted, and learned no more
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from services.updater.learning.rows import Arrays

F4 = NDArray[np.float32]


class Lateness:
    """Positives that came with their list, and those that came after it was learned; L labels."""

    def __init__(self, labels: int) -> None:
        self.early, self.late = np.zeros(labels), np.zeros(labels)

    def count(self, labels: F4, late: F4) -> None:
        """Take in rows (n, L)."""
        self.early += (labels * (1 - late)).sum(0)
        self.late += late.sum(0)

    def share(self) -> F4:
        """Of each label's positives, those that are late (L,); 0 before the first."""
        shares: F4 = (self.late / np.maximum(self.early + self.late, 1)).astype(np.float32)
        return shares

    def fade(self, share: float) -> None:
        """Forget all but this share of what was counted."""
        self.early *= share
        self.late *= share

    def state(self) -> Arrays:
        """Both counts."""
        return {"early": self.early.copy(), "late": self.late.copy()}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Become what :meth:`state` gave; a state from before there were counts begins at none."""
        if state:
            self.early, self.late = state["early"].copy(), state["late"].copy()


def loss(
    kind: str, logits: Tensor, labels: Tensor, late: Tensor, weights: Tensor, share: Tensor, reference: int, clip: float
) -> Tensor:
    """Binary cross-entropy summed and divided by a fixed batch size, so that a short batch makes a small step.

    Args:
        kind: ``correct``, ``weigh`` or ``expect``.
        logits, labels: (n, L).
        late: (n, L) 1 where the label is positive and was learned as negative.
        weights: (n, L) what each label counts; 0 for what is not known.
        share: (L,) of the positives, those that are late.
        reference: the fixed batch size.
        clip: the most of a negative's paid loss that a correction takes back.
    """
    return (KINDS[kind](logits, labels, late, share, clip) * weights).sum() / reference


def _correct(logits: Tensor, labels: Tensor, late: Tensor, share: Tensor, clip: float) -> Tensor:
    return _own(logits, labels) - late * functional.softplus(logits).clamp(max=clip)


def _weigh(logits: Tensor, labels: Tensor, late: Tensor, share: Tensor, clip: float) -> Tensor:
    p, none = _chances(logits)
    seen = 1 + p * share
    return _own(logits, labels) * torch.where(labels > 0, seen, none * seen / (none + p * share))


def _expect(logits: Tensor, labels: Tensor, late: Tensor, share: Tensor, clip: float) -> Tensor:
    p, none = _chances(logits)
    return _own(logits, torch.where(labels > 0, labels, p * share / (none + p * share))) * (1 - late)


def _chances(logits: Tensor) -> tuple[Tensor, Tensor]:
    """p and 1 - p, which is never 0."""
    fixed = logits.detach()
    return torch.sigmoid(fixed), torch.sigmoid(-fixed).clamp(min=1e-30)


def _own(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")


KINDS: Mapping[str, Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]] = {
    "correct": _correct,
    "weigh": _weigh,
    "expect": _expect,
}
