"""What the learner knows of the shop's items: category, brand and text vector, from the catalogue files that the plans name.

The vectors of one shop's titles share a direction, and in a history's mean there is little else. So the base's catalogue says what
they share, its centre, and every vector goes without it, those of later catalogues too.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.updater.learning.device import moved
from shared.bundles.files import Catalogue
from shared.errors import BadSettings
from shared.keys import key
from shared.messages import Item

U8 = NDArray[np.uint64]
I4 = NDArray[np.int32]
F2 = NDArray[np.float16]
F4 = NDArray[np.float32]
FEW = 20
"""Texts that count as sharing nothing, beside the shop's own: of a single text something must be left."""
SAME = 1e-3
"""By which two numbers of one text's vector may differ, as they are half floats."""


def build(
    items: Iterable[Item], vectors: Mapping[str, F2], text_dim: int, encoder: str = "", centre: F4 | None = None
) -> Catalogue:
    """The catalogue file of these items; of two lines of one item the later counts. Equal texts share one vector.

    Args:
        items: lines of the catalogue in their order.
        vectors: by text, unit length, float16 (text_dim,). An item whose text has none here goes without.
        text_dim: T.
        encoder: whose vectors they are.
        centre: of the base's catalogue; not given where this is the base's, and its texts decide.

    Raises:
        BadSettings: the vectors have another width.
    """
    if wrong := {vector.shape[0] for vector in vectors.values()} - {text_dim}:
        raise BadSettings(f"{encoder or 'the encoder'} makes vectors of {wrong.pop()} numbers; the task's text_dim is {text_dim}")
    newest = {item.item_id: item for item in items}
    texts = {text: i for i, text in enumerate(dict.fromkeys(i.title for i in newest.values() if i.title in vectors))}
    said = np.stack([vectors[text] for text in texts]) if texts else np.zeros((0, text_dim), np.float16)
    if centre is None:
        centre = said.sum(0, dtype=np.float32) / (len(said) + FEW)
    return Catalogue(
        keys=np.array([key(item.item_id) for item in newest.values()], np.uint64),
        ids=tuple(newest),
        attributes=np.array([(key(i.category or ""), key(i.brand or "")) for i in newest.values()], np.uint64).reshape(-1, 2),
        text=np.array([texts.get(item.title, -1) for item in newest.values()], np.int32),
        vectors=centred(said, centre),
        centre=centre,
        encoder=encoder,
    )


def centred(vectors: F2, centre: F4) -> F2:
    """Vectors without what the shop's texts share (Mu and Viswanath, 2018), of unit length again; as they are without a centre.

    Args:
        vectors: (n, T) of unit length.
        centre: (T,), or (0,) beside a base that has none.
    """
    if not len(centre):
        return vectors
    rest = vectors - centre
    norms = np.linalg.norm(rest, axis=1, keepdims=True)
    return (rest / np.where(norms > 0, norms, 1)).astype(np.float16)


class Assortment:
    """Every item of the catalogues added so far; of two lines of one item the later counts.

    Args:
        text_dim: T.
    """

    def __init__(self, text_dim: int) -> None:
        self._place: dict[int, int] = {}
        self._keys = np.zeros(0, np.uint64)
        self._attributes = np.zeros((1, 2), np.uint64)  # line 0: an item that no catalogue names
        self._text = np.zeros(1, np.int32)
        self._vectors = np.zeros((1, text_dim), np.float16)  # row 0: no text
        self._copies: dict[torch.device, Tensor] = {}
        self.encoder = ""
        """Whose vectors they are; empty where no catalogue says."""
        self.centre = np.zeros(0, np.float32)
        """Of the first catalogue, see :class:`Catalogue`."""
        self.texts = 1
        """Text rows in use, row 0 included."""

    def add(self, catalogue: Catalogue) -> None:
        """Take in a catalogue file. Text rows count on over all catalogues, in the order in which they are added."""
        if not len(self):
            self.centre = catalogue.centre
        self.encoder = self.encoder or catalogue.encoder
        first = len(self._attributes)
        self._keys = np.concatenate([self._keys, catalogue.keys])
        self._attributes = np.concatenate([self._attributes, catalogue.attributes])
        self._text = np.concatenate([self._text, np.where(catalogue.text < 0, 0, catalogue.text + self.texts).astype(np.int32)])
        self._vectors = np.concatenate([self._vectors, catalogue.vectors])
        self.texts += len(catalogue.vectors)
        # last: :meth:`says` is asked from another thread, and finds no place whose line is not there
        self._place.update(zip(catalogue.keys.tolist(), range(first, first + len(catalogue.keys)), strict=True))

    def __len__(self) -> int:
        """Lines so far, the replaced ones included."""
        return len(self._attributes) - 1

    def lines(self, first: int) -> tuple[dict[str, U8], I4]:
        """Keys by table (item, category, brand) and text rows of the lines from this one on, each (k,)."""
        keys = {"item": self._keys[first:], "category": self._attributes[first + 1 :, 0], "brand": self._attributes[first + 1 :, 1]}
        return keys, self._text[first + 1 :]

    def __contains__(self, item: int) -> bool:
        return item in self._place

    def says(self, item: Item, vector: F2 | None) -> bool:
        """Whether the newest line of the item says the same of what the model reads: category, brand, and the title by its vector.

        Args:
            item: a line of the catalogue.
            vector: the encoder's of its title, float16 (T,); ``None`` where it has none yet.
        """
        line = self._place.get(key(item.item_id), 0)
        if not line or self._attributes[line].tolist() != [key(item.category or ""), key(item.brand or "")]:
            return False
        text = int(self._text[line])
        if not item.title or not text:
            return not item.title and not text
        return vector is not None and bool(np.abs(self._vectors[text] - centred(vector[None], self.centre)[0]).max() < SAME)

    def describe(self, items: U8) -> tuple[U8, U8, I4]:
        """Category keys, brand keys and text rows of items by key; zeros for one that no catalogue names. Each (n,)."""
        unique, inverse = np.unique(items, return_inverse=True)
        lines = np.array([self._place.get(item, 0) for item in unique.tolist()], np.int64)[inverse]
        return self._attributes[lines, 0], self._attributes[lines, 1], self._text[lines]

    def vectors(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """Text vectors of text rows. Shape (n, T)."""
        vectors: NDArray[np.float32] = torch.from_numpy(self._vectors[rows]).float().numpy()  # numpy's way takes five times as long
        return vectors

    def on(self, device: torch.device) -> Tensor:
        """All text vectors where the model lives, half floats (texts, T): the CPU's own, elsewhere a copy that grows with them."""
        if device.type == "cpu":
            return torch.from_numpy(self._vectors)
        held = self._copies.get(device, torch.zeros(0, self._vectors.shape[1], dtype=torch.float16, device=device))
        if len(held) < self.texts:
            held = self._copies[device] = torch.cat([held, moved(self._vectors[len(held) :], device)])
        return held
