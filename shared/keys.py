"""One 64-bit number for every id: what tables, rows and messages use instead of strings of any length."""

from collections.abc import Iterable

import numpy as np
import xxhash
from numpy.typing import NDArray

UNKNOWN = 0
"""The key of nothing: an empty slot, a missing category. No id hashes to it (see :func:`key`)."""


def key(identifier: str) -> int:
    """The id's number in [1, 2**64): XXH3, 64 bits, of its UTF-8 bytes; the empty id is :data:`UNKNOWN`.

    Among n ids two share a number with probability n² / 2⁶⁵: 3e-6 for ten million.
    """
    return (xxhash.xxh3_64_intdigest(identifier.encode()) or 1) if identifier else UNKNOWN


def keys(identifiers: Iterable[str]) -> NDArray[np.uint64]:
    """The numbers of several ids, in their order. Shape (n,)."""
    return np.fromiter(map(key, identifiers), np.uint64)
