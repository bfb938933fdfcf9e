"""What stands inside a bundle's files: the one codec that the updater writes with and readers read with. Layout: ``manifest.py``.

A file that does not have its layout is :class:`shared.errors.BundleRefused` (``corrupt`` where it cannot be read, ``shapes`` where
something in it does not fit).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from shared.errors import BundleRefused
from shared.messages import Inputs

F4 = NDArray[np.float32]
U8 = NDArray[np.uint64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

TABLES = ("user", "item", "category", "brand", "hour", "weekday")
FIELDS = ("user", "hour", "weekday", "profile", "item", "category", "brand")
"""The first layer's input begins with these vectors, in this order; dense inputs and the cosine follow."""


def _no_rows() -> I4:
    return np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class TableChange:
    """What a bundle says of one id table; a full bundle says everything."""

    rows: I4
    """(k,) the rows whose values it gives."""
    values: F4
    """(k, dim + 1) the vector, then its linear weight."""
    new_rows: I4 = field(default_factory=_no_rows)
    """(m,) rows that belong to another key than in the parent."""
    new_keys: U8 = field(default_factory=lambda: np.zeros(0, np.uint64))
    """(m,) whose they are now."""
    attributes: I4 = field(default_factory=lambda: np.zeros((0, 3), np.int32))
    """(m, 3) of new items: their category's row, brand's row and text row."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The items that joined with one window, and the texts that joined with them."""

    keys: U8
    """(m,)."""
    ids: tuple[str, ...]
    """m."""
    attributes: U8
    """(m, 2) category and brand keys."""
    text: I4
    """(m,) row into ``vectors``, or -1."""
    vectors: NDArray[np.float16]
    """(t, text_dim), L2-normalised."""
    centre: F4 = field(default_factory=lambda: np.zeros(0, np.float32))
    """(text_dim,) what the vectors of the base's texts share, taken out of these; (0,) where they are as the encoder made them."""
    encoder: str = ""
    """Whose vectors they are; empty in files of before it was written down."""
    made: float = 0.0
    """When, in seconds since 1970, where the file joins later than the base. It has no other use than to tell two files apart that
    say the same, as when a title goes back to what it was: each counts, and readers know files by their hash."""


def encode_tables(changes: Mapping[str, TableChange]) -> bytes:
    """The ``tables`` file."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, change in changes.items():
        arrays |= {f"{name}.rows": change.rows, f"{name}.values": change.values}
        if len(change.new_rows):
            arrays |= {f"{name}.new_rows": change.new_rows, f"{name}.new_keys": change.new_keys}
            if name == "item":
                arrays["item.attributes"] = change.attributes
    return save(_plain(arrays))


def decode_tables(data: bytes) -> dict[str, TableChange]:
    """The changes in a ``tables`` file, by table."""
    arrays = _arrays(data)
    changes = {}
    for name in sorted({key.split(".")[0] for key in arrays}):
        parts = {key: arrays[f"{name}.{key}"] for key in TableChange.__slots__ if f"{name}.{key}" in arrays}
        try:
            changes[name] = TableChange(**parts)
        except TypeError:
            raise BundleRefused("shapes", f"the table {name} has values without rows, or rows without values") from None
    return changes


def encode_dense(weights: Mapping[str, F4]) -> bytes:
    """The ``dense`` file: weights by name."""
    return save(_plain(weights))


def decode_dense(data: bytes) -> dict[str, F4]:
    """The weights in a ``dense`` file."""
    return _arrays(data)


def encode_catalogue(catalogue: Catalogue) -> bytes:
    """A ``catalogue-N`` file."""
    joined = [identifier.encode() for identifier in catalogue.ids]
    arrays: dict[str, NDArray[Any]] = {
        "keys": catalogue.keys,
        "ids": np.frombuffer(b"".join(joined), np.uint8),
        "ends": np.cumsum([len(one) for one in joined], dtype=np.int64),
        "attributes": catalogue.attributes,
        "text": catalogue.text,
        "vectors": catalogue.vectors,
    }
    if len(catalogue.centre):
        arrays["centre"] = catalogue.centre
    if catalogue.encoder:
        arrays["encoder"] = np.frombuffer(catalogue.encoder.encode(), np.uint8)
    if catalogue.made:
        arrays["made"] = np.array([catalogue.made], np.float64)
    return save(_plain(arrays))


def decode_catalogue(data: bytes) -> Catalogue:
    """The items in a ``catalogue-N`` file."""
    arrays = _arrays(data)
    try:
        joined, ends = arrays["ids"].tobytes(), arrays["ends"].tolist()
        ids = tuple(joined[start:end].decode() for start, end in zip([0, *ends], ends, strict=False))
        encoder = arrays["encoder"].tobytes().decode() if "encoder" in arrays else ""
        made = float(arrays["made"][0]) if "made" in arrays else 0.0
        centre = arrays.get("centre", np.zeros(0, np.float32))
        return Catalogue(arrays["keys"], ids, arrays["attributes"], arrays["text"], arrays["vectors"], centre, encoder, made)
    except (KeyError, IndexError, UnicodeDecodeError) as error:
        raise BundleRefused("shapes", f"a catalogue lacks {error}") from None


def catalogue_files(files: Iterable[str]) -> list[str]:
    """The catalogues among a manifest's files, in their order."""
    return sorted((name for name in files if name.startswith("catalogue-")), key=lambda name: int(name.split("-")[1]))


POOLING = "pooling"
"""The dense weight that a model without pooling, and a bundle of before it was there, has not."""


KNOTS = "knots"
"""Where the dense features' bins begin and end; a model without bins, and a bundle of before they were there, has none of them."""
BIN_PARTS = 4
"""What the bins bring to the first layer: so many sums over all of them."""


def bins_of(dense: Mapping[str, F4]) -> int:
    """How many bins each feature has in these dense weights."""
    return dense[KNOTS].shape[1] - 1 if KNOTS in dense and dense[KNOTS].ndim == 2 else 0


def dense_shapes(
    inputs: Inputs, labels: int, dim: int, hidden: tuple[int, ...], text_dim: int, bins: int
) -> dict[str, tuple[int, ...]]:
    """Every dense weight's name and shape; see ``shared/model/README.md``. :data:`POOLING` alone may be missing."""
    dense = len(inputs.user) + len(inputs.candidate)
    widths = (len(FIELDS) * dim + dense + 1 + (BIN_PARTS if bins else 0), *hidden)
    shapes: dict[str, tuple[int, ...]] = {
        "bias": (1,),
        "cosine_weight": (1,),
        "text_linear": (text_dim,),
        "text_projection": (dim, text_dim),
        "text_projection_bias": (dim,),
        "profile_projection": (dim, text_dim),
        "profile_projection_bias": (dim,),
        POOLING: (dim, dim),
        "heads.weight": (labels, hidden[-1]),
        "heads.bias": (labels,),
        "mean": (dense,),
        "scale": (dense,),
    }
    if bins:
        shapes |= {KNOTS: (dense, bins + 1), "bins_linear": (dense * bins,), "bins_projection": (BIN_PARTS, dense * bins)}
    for layer, (before, after) in enumerate(zip(widths, hidden, strict=False)):
        shapes |= {f"layers.{layer}.weight": (after, before), f"layers.{layer}.bias": (after,)}
    return shapes


def weights_sha256(tables: Mapping[str, tuple[U8, F4]], dense: Mapping[str, F4]) -> str:
    """The hash of a whole model: a full bundle and its applied deltas agree on it.

    Args:
        tables: by name: keys (rows,) and values (rows, dim + 1) of the rows in use, row 0 included.
        dense: every dense weight by name.
    """
    digest = hashlib.sha256()
    for name in sorted(tables):
        keys, values = tables[name]
        digest.update(f"{name} {values.shape}".encode())
        digest.update(keys.astype("<u8", copy=False).tobytes())
        digest.update(values.astype("<f4", copy=False).tobytes())
    for name in sorted(dense):
        digest.update(f"{name} {dense[name].shape}".encode())
        digest.update(dense[name].astype("<f4", copy=False).tobytes())
    return digest.hexdigest()


def _plain(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """In one order and contiguous, so that equal contents make equal bytes."""
    return {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    try:
        arrays: dict[str, NDArray[Any]] = load(data)
    except SafetensorError as error:
        raise BundleRefused("corrupt", f"a file is not safetensors: {error}") from None
    return arrays
