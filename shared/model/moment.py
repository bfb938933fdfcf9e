"""Hour and weekday as the id tables know them: the learner and the server must mean the same ones."""

import numpy as np
from numpy.typing import NDArray

from shared.keys import keys

U8 = NDArray[np.uint64]

HOURS, WEEKDAYS = keys(map(str, range(24))), keys(map(str, range(7)))


def moment_keys(time: NDArray[np.float64]) -> tuple[U8, U8]:
    """Keys of the hour of the day and of the weekday (Monday is 0), in UTC.

    Args:
        time: (m,) seconds since 1970, which began on a Thursday.

    Returns:
        Two arrays (m,).
    """
    return HOURS[(time // 3_600 % 24).astype(np.int64)], WEEKDAYS[((time // 86_400 + 3) % 7).astype(np.int64)]
