"""When things happen: Poisson arrivals, log-normal delays, and a wall clock that never steps back."""

import asyncio
import math
import time
from collections.abc import Callable

import numpy as np

NORMAL_P90 = 1.2815515655446004
"""The standard normal's 90th percentile."""


class Clock:
    """Wall time in seconds since 1970 that advances with the monotonic clock, whatever happens to the machine's."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._shift = wall() - steady()

    def now(self) -> float:
        """The time."""
        return self._steady() + self._shift

    async def until(self, moment: float) -> None:
        """Wait for a moment; at least let others run."""
        await asyncio.sleep(max(0.0, moment - self.now()))


class Arrivals:
    """A Poisson process: moments whose gaps are exponential with mean 1 / rate.

    It is an open loop: the next moment does not depend on when anybody answered.
    """

    def __init__(self, rate: float, start: float, generator: np.random.Generator) -> None:
        self._gap, self._moment, self._generator = 1.0 / rate, start, generator

    def next(self) -> float:
        """The next moment, in seconds of the start's clock."""
        self._moment += self._generator.exponential(self._gap)
        return self._moment


class Delays:
    """Log-normal seconds between a ranking and what comes of it, given by median and 90th percentile."""

    def __init__(self, median: float, p90: float, generator: np.random.Generator, longest: float = 600.0) -> None:
        self._mu, self._sigma = math.log(median), math.log(p90 / median) / NORMAL_P90
        self._generator, self._longest = generator, longest

    def draw(self) -> float:
        """One delay; none is longer than ``longest``."""
        return min(float(self._generator.lognormal(self._mu, self._sigma)), self._longest)
