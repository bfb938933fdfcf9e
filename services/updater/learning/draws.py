"""What learning draws by chance, many numbers at a time: the first values of new rows, and what dropout leaves out."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.model.row_map import U8

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
STEPS = 1 << 16
"""Dropout's share is rounded to one in so many."""


def uniform(seed: int, stream: int, keys: U8, width: int) -> NDArray[np.float32]:
    """Numbers in [-1, 1) that are a function of the seed, the stream and the key alone, by SplitMix64 (Steele et al., 2014).

    Args:
        seed, stream: which numbers.
        keys: (k,).
        width: numbers for each key.

    Returns:
        (k, width).
    """
    salt = np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0]
    bits = _mixed(_mixed(keys ^ salt)[:, None] + GOLDEN * np.arange(width, dtype=np.uint64))
    return (bits.view(np.int64) >> np.int64(40)).astype(np.float32) / np.float32(1 << 23)


def begin(seed: int, window: int, device: torch.device) -> None:
    """What :func:`kept` draws from now on is a function of these numbers."""
    number = int(np.random.SeedSequence([seed, window]).generate_state(1)[0])
    if device.type == "cuda":
        torch.manual_seed(number)
    else:
        torch.default_generator.manual_seed(number)  # the same, and not once more for each kind of device: 2% of a window


def kept(rows: int, width: int, share: float, device: torch.device) -> Tensor:
    """What dropout multiplies hidden units with: 0 for this share of them, else what makes up for those.

    torch draws one number at a time for its own, which took 6% of a step; here four units share the 64 bits of one. (rows, width).
    """
    count = rows * width
    bits = torch.empty(-(-count // 4), dtype=torch.int64, device=device).random_(-(1 << 63), None)
    below = round(share * STEPS) - STEPS // 2
    stay = torch.ge(bits.view(torch.int16)[:count], below, out=torch.empty(count, device=device))
    return stay.view(rows, width).mul_(1 / (1 - share))


def _mixed(bits: U8) -> U8:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: U8 = bits ^ (bits >> np.uint64(31))
    return mixed
