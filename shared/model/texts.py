"""The catalogue's texts and ids as they are served."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shared.bundles.files import Catalogue
from shared.errors import BundleRefused

F4 = NDArray[np.float32]


class Texts:
    """Text vectors by row and item ids by key. Row 0 is no text: zeros.

    float32 in memory: a cosine over 384 dimensions costs as much as the whole graph, and twice that in float16.
    """

    def __init__(self, vectors: F4, ids: dict[int, str], joined: tuple[str, ...]) -> None:
        self.vectors, self.ids = vectors, ids
        self.joined = joined
        """SHA-256 of the catalogues in it, in their order."""

    @classmethod
    def empty(cls, text_dim: int) -> "Texts":
        """No text but the empty one."""
        return cls(np.zeros((1, text_dim), np.float32), {}, ())

    def joined_by(self, catalogues: Mapping[str, Catalogue]) -> "Texts":
        """These texts and those of further catalogues (by SHA-256, in order); this object stays as it is.

        Raises:
            BundleRefused: ``shapes`` or ``non_finite``.
        """
        if not catalogues:
            return self
        blocks, ids = [self.vectors], dict(self.ids)
        for catalogue in catalogues.values():
            _check(catalogue, self.vectors.shape[1])
            blocks.append(catalogue.vectors.astype(np.float32))
            ids.update(zip(catalogue.keys.tolist(), catalogue.ids, strict=True))
        return Texts(np.concatenate(blocks), ids, (*self.joined, *catalogues))


def _check(catalogue: Catalogue, text_dim: int) -> None:
    items = len(catalogue.keys)
    fits = (
        catalogue.vectors.ndim == 2
        and catalogue.vectors.shape[1] == text_dim
        and len(catalogue.ids) == items
        and catalogue.text.shape == (items,)
        and catalogue.attributes.shape == (items, 2)
    )
    if not fits or (items and not -1 <= catalogue.text.min() <= catalogue.text.max() < len(catalogue.vectors)):
        raise BundleRefused("shapes", "a catalogue's arrays do not fit each other")
    if not np.isfinite(catalogue.vectors).all():
        raise BundleRefused("non_finite", "a catalogue's text vectors are not finite numbers")
