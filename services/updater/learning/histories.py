"""What shoppers deal with most, as impressions carry it: each distinct history worked out once for all lists that share it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.catalogue import Assortment
from shared.model.pooling import shares


@dataclass(frozen=True, slots=True)
class Histories:
    """p histories of at most h ≥ 1 items; a shorter one ends with key 0 and share 0."""

    profiles: NDArray[np.float32]
    """(p, T) the mean of the items' texts by weight, of length 1; zeros where there is none."""
    keys: NDArray[np.uint64]
    """(p, h) the items."""
    shares: NDArray[np.float32]
    """(p, h) what each one's vector counts; see :mod:`shared.model.pooling`."""

    def __len__(self) -> int:
        return len(self.profiles)

    @classmethod
    def distinct(cls, histories: Iterable[tuple[bytes, bytes]], assortment: Assortment) -> tuple["Histories", NDArray[np.int64]]:
        """The distinct ones, and which of them each is (m,).

        Args:
            histories: item keys (uint64) and their decayed counts (float32), as an impression has them.
            assortment: whose texts the items have.
        """
        rows: dict[tuple[bytes, bytes], int] = {}
        index = np.array([rows.setdefault(history, len(rows)) for history in histories], np.int64)
        lengths = np.array([len(weights) // 4 for _, weights in rows], np.int64)
        items = np.frombuffer(b"".join(history for history, _ in rows), "<u8")
        weights = np.frombuffer(b"".join(weights for _, weights in rows), "<f4")
        filled = np.arange(lengths.max(initial=1)) < lengths[:, None]
        keys, counts = np.zeros(filled.shape, np.uint64), np.zeros(filled.shape, np.float32)
        keys[filled], counts[filled] = items, weights
        return cls(_profiles(items, weights, lengths, assortment), keys, shares(counts)), index

    @classmethod
    def joined(cls, parts: Sequence["Histories"]) -> "Histories":
        """All of these, in their order."""
        longest = max(part.keys.shape[1] for part in parts)

        def padded(columns: NDArray[np.generic]) -> NDArray[np.generic]:
            return np.pad(columns, ((0, 0), (0, longest - columns.shape[1])))

        return cls(
            np.concatenate([part.profiles for part in parts]),
            np.concatenate([padded(part.keys) for part in parts]),
            np.concatenate([padded(part.shares) for part in parts]),
        )

    def part(self, rows: NDArray[np.int64]) -> "Histories":
        """These alone, in this order."""
        return Histories(self.profiles[rows], self.keys[rows], self.shares[rows])


def _profiles(
    items: NDArray[np.uint64], weights: NDArray[np.float32], lengths: NDArray[np.int64], assortment: Assortment
) -> NDArray[np.float32]:
    """Σ w·text over each history, made unit length."""
    text = assortment.describe(items)[2]
    ends = np.cumsum(lengths)
    sums = np.stack(
        [
            weights[end - length : end] @ assortment.vectors(text[end - length : end])
            for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
        ]
        or [assortment.vectors(np.zeros(0, np.int64))[:0].sum(0)]
    )
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.where(norms > 0, norms, 1)).astype(np.float32)
