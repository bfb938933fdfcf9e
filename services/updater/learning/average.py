"""The mean of the dense weights over the last rows: what predicts and is served, while steps go on from the weights themselves.

Steps of a constant rate circle around the best weights, and their mean lies nearer to it (Polyak and Juditsky, 1992): a rate that
follows the shop quickly then costs less noise. Table rows have no part in it: each moves too seldom, and their mean did worse.
(torch's own ``AveragedModel`` reads its count back from the device at each step, so a GPU would be waited for.)
"""

import numpy as np
import torch

from services.updater.learning.flat import Flat
from services.updater.learning.rows import Arrays

LOOK_BACK = 0.1
"""Of all rows learned, those that the mean looks back over at most: a young model is not held to its beginnings."""


class Average:
    """The mean of a model's weights by name, with a memory that fades over a horizon.

    Args:
        flat: the weights.
        horizon: rows; a tenth of those learned so far while that is less. 0 for the weights as they are.
    """

    def __init__(self, flat: Flat, horizon: int) -> None:
        self._flat, self._horizon = flat, horizon
        self._mean = torch.zeros_like(flat.weights) if horizon else flat.weights
        self.values = flat.named(self._mean)
        self.begin()

    def begin(self) -> None:
        """Forget what came before: the mean is the weights."""
        self._mean.copy_(self._flat.weights)

    def follow(self, count: int, learned: int) -> None:
        """Take in the weights after a step.

        Args:
            count: rows of the step.
            learned: rows learned so far, with these.
        """
        if self._horizon:
            self._mean.lerp_(self._flat.weights, count / max(count, min(LOOK_BACK * learned, self._horizon)))

    def settle(self, name: str) -> None:
        """Make the weight its mean: what moves no more is served as it is."""
        self._flat.views[name].copy_(self.values[name])

    def state(self) -> Arrays:
        """The mean, as arrays."""
        return {name: value.cpu().numpy().copy() for name, value in self.values.items()}

    def load(self, state: Arrays) -> None:
        """What :meth:`state` gave; without a horizon the weights become it, so that what is served stays."""
        for name, value in self.values.items():
            value.copy_(torch.from_numpy(np.array(state[name])))
