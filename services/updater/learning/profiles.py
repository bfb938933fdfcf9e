"""What a shopper's taste says in text: the mean text vector of the items they deal with most."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.catalogue import Assortment


class Profiles:
    """Profiles from the histories that impressions carry, each distinct history worked out once."""

    def __init__(self, assortment: Assortment) -> None:
        self._assortment = assortment

    def of(self, histories: Iterable[tuple[bytes, bytes]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The distinct profiles (p, T), unit length or zeros, and each history's row among them (m,).

        Args:
            histories: item keys (uint64) and their decayed counts (float32), as an impression has them.
        """
        rows: dict[tuple[bytes, bytes], int] = {}
        index = np.array([rows.setdefault(history, len(rows)) for history in histories], np.int64)
        lengths = np.array([len(weights) // 4 for _, weights in rows], np.int64)
        items = np.frombuffer(b"".join(history for history, _ in rows), "<u8")
        weights = np.frombuffer(b"".join(weights for _, weights in rows), "<f4")
        return self._sums(items, weights, lengths), index

    def _sums(self, items: NDArray[np.uint64], weights: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Σ w·text over each history, made unit length."""
        text = self._assortment.describe(items)[2]
        ends = np.cumsum(lengths)
        sums = np.stack(
            [
                weights[end - length : end] @ self._assortment.vectors(text[end - length : end])
                for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
            ]
            or [self._assortment.vectors(np.zeros(0, np.int64))[:0].sum(0)]
        )
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        return (sums / np.where(norms > 0, norms, 1)).astype(np.float32)
