"""What a bundle is: a manifest, and the content-addressed files that it names.

Storage keys, all under the task's name:

    <task>/blobs/<sha256>                        any file; written once, a repeat is harmless
    <task>/bundles/<version>/manifest.json       written last, once
    <task>/latest.json                           the updater's pointer, moved by compare-and-swap
    <task>/pin.json                              the operator's pointer; ranking obeys it
    <task>/learning.json                         the operator's order to the updater: pause, or learn
    <task>/breaker.json                          what the updater knows of the stream's usual levels
    <task>/checkpoints/<version>/...             the updater's own

Files of a bundle by role:

    tables       safetensors. For each table T in the bundle: ``T.rows`` int32 (k,), ``T.values`` float32 (k, dim + 1): the vector,
                 then its linear weight. Rows new in this bundle: ``T.new_rows`` int32 (m,), ``T.new_keys`` uint64 (m,), and
                 ``item.attributes`` int32 (m, 3): each new item's category, brand and text row. Row 0 is the unknown: zeros.
    dense        safetensors: the dense weights by name, float32, and the normaliser's moments.
    graph        ONNX: the scoring graph with the dense weights in it. In every full bundle; in a delta when the dense part moved.
    catalogue-N  safetensors, N in order: ``keys`` uint64 (m,), ``ids`` uint8 (UTF-8, joined), ``ends`` int64 (m,) end of each id,
                 ``attributes`` uint64 (m, 2): category and brand keys, ``text`` int32 (m,): row into ``vectors``, float16
                 (t, text_dim), L2-normalised, or -1 for no text. ``centre`` float32 (text_dim,) was taken out of the vectors.
                 Over all catalogues, text rows count on from 1; 0 is no text.
                 No two have the same bytes: ``made`` float64 (1,), the seconds since 1970 of all but the base's.
"""

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.messages import Inputs


class File(msgspec.Struct, frozen=True):
    """A content-addressed file."""

    sha256: str
    size: int

    def key(self, task: str) -> str:
        """Its storage key."""
        return f"{task}/blobs/{self.sha256}"


class TableSize(msgspec.Struct, frozen=True):
    """Rows of an id table: in use, and allocated."""

    rows: int
    capacity: int


class Curve(msgspec.Struct, frozen=True):
    """From a model's log-odds to calibrated ones: linear between its knots, beyond them of slope 1. It rises everywhere."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def __call__(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same shape."""
        inside: NDArray[np.float64] = np.interp(log_odds, self.x, self.y)
        return inside + np.minimum(log_odds - self.x[0], 0) + np.maximum(log_odds - self.x[-1], 0)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a task's model: what is in it, what it learned, and who says so."""

    task: str
    version: str
    """``<window, 8 digits>-<epoch, 4 digits>``: sorts by window, then epoch."""
    window: int
    epoch: int
    kind: Literal["full", "delta"]
    parent: str | None
    """The bundle published before it; a delta applies to that and nothing else."""
    created: float
    files: dict[str, File]
    labels: tuple[str, ...]
    inputs: Inputs
    dim: int
    hidden: tuple[int, ...]
    text_dim: int
    tables: dict[str, TableSize]
    frozen: tuple[str, ...]
    trainable: tuple[str, ...]
    offsets: dict[str, int] = {}
    """Partition of ``examples.<task>`` → next offset to learn."""
    outcomes: dict[str, tuple[int, ...]] = {}
    """Partition of ``behaviour`` → offsets of the outcomes learned since the parent, inside examples."""
    corrections: dict[str, tuple[int, ...]] = {}
    """The same for outcomes learned as corrections."""
    windows: tuple[int, int] = (0, 0)
    """First and last window learned since the parent."""
    metrics: dict[str, float] = {}
    calibrator: dict[str, Curve] = {}
    """Curves of the first label's scores for users that the model knows (``known``) and does not (``new``); absent: as they are."""
    weights_sha256: str = ""
    """Of all tables and dense weights in canonical order: a full bundle and its deltas agree on it."""
    trace_id: str = ""
    signature: str = ""
    """Ed25519 over the canonical JSON of everything else, hex."""


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """``latest.json`` or ``pin.json``: which version to serve."""

    task: str
    version: str
    epoch: int
    full: str
    """The newest full bundle at or before the version, where a reader without its parent begins."""
    deltas: tuple[str, ...] = ()
    """Versions after ``full`` up to ``version``, in order."""
    moved_at: float


def version(window: int, epoch: int) -> str:
    """The name of the bundle that a window made."""
    return f"{window:08d}-{epoch:04d}"
