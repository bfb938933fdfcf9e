"""A view's plan: how its row lies in the store. Written at ``feast apply``, read by everybody else without Feast.

A row is one string in Valkey:

    event time   int64    microseconds since 1970 UTC; of the newest event that the row contains
    version      uint64   next offset of the key's own partition; the higher one wins
    plan id      uint32   which plan the record follows, then four zero bytes
    record       fixed    the view's fields in the plan's order
    tail         any      the writer's own (fences, recent event ids); readers skip it

Plans are stored under ``plan:<project>:<view>:<id>`` and never removed, so that every row ever written stays readable;
``plan:<project>:<view>`` holds the id of the current one.
"""

import math
import struct
from collections.abc import Sequence
from functools import cached_property

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from shared.errors import BadSettings

HEADER = (("_time", "<i8"), ("_version", "<u8"), ("_plan", "<u4"), ("_zero", "<u4"))
HEADER_BYTES = 24
WORD = 8

Words = NDArray[np.float64]
"""Rows of a view whose every field is eight bytes wide: float64 (n, plan.words), header included; integers share the bits."""


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field of a record."""

    name: str
    dtype: str
    """numpy's name of one element: ``<f8``, ``<i8``, ``<f4``, ``<i4``, ``|b1``."""
    length: int = 0
    """Elements of an array; 0 for a single value."""
    default: float | None = 0.0
    """What a missing row, or a row of an older plan, has here; ``None`` is NaN."""
    tags: dict[str, str] = {}
    """What it counts; see ``feature_repo/README.md``."""

    @property
    def size(self) -> int:
        """Bytes in the record."""
        return np.dtype(self.dtype).itemsize * max(1, self.length)


class Plan(msgspec.Struct, frozen=True, dict=True):
    """How the rows of one view lie in the store."""

    project: str
    view: str
    prefix: bytes
    """Every key of the view starts with it; the id's type, length and UTF-8 bytes follow (Feast's entity key, version 3)."""
    fields: tuple[Field, ...]
    ttl: int = 0
    """Seconds after its last write until a row may go; 0 for never."""
    owner: str = ""
    """``stream``: only the features service writes it. Empty: Feast's ``push`` and ``materialize`` do."""

    @cached_property
    def id(self) -> int:
        """A number of the plan's whole content, in [1, 2**32)."""
        return xxhash.xxh3_64_intdigest(self.to_json()) & 0xFFFFFFFF or 1

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """Header and record as a numpy structure, without padding."""
        columns = [(f.name, f.dtype, (f.length,)) if f.length else (f.name, f.dtype) for f in self.fields]
        return np.dtype([*HEADER, *columns])

    @cached_property
    def size(self) -> int:
        """Bytes of header and record."""
        return self.dtype.itemsize

    @cached_property
    def words(self) -> int:
        """Eight-byte words of header and record.

        Raises:
            BadSettings: a field is not eight bytes wide.
        """
        for field in self.fields:
            if np.dtype(field.dtype).itemsize != WORD:
                raise BadSettings(f"{self.view}.{field.name}: the stream's fields are Float64 or Int64 (or arrays of them)")
        return self.size // WORD

    @cached_property
    def default(self) -> bytes:
        """A row that nobody wrote yet."""
        row = np.zeros(1, self.dtype)
        row["_plan"] = self.id
        for field in self.fields:
            row[field.name] = math.nan if field.default is None else field.default
        return row.tobytes()

    @cached_property
    def stamp(self) -> bytes:
        """The plan id as it stands in a row, at bytes 16 to 20."""
        return struct.pack("<I", self.id)

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {name: offset // WORD for name, (_, offset, *_) in (self.dtype.fields or {}).items()}

    def column(self, name: str) -> int:
        """The word where a field starts."""
        return self._columns[name]

    def field(self, name: str) -> Field | None:
        """The field of this name, or ``None``."""
        return next((field for field in self.fields if field.name == name), None)

    def key(self, identifier: str) -> bytes:
        """Where the row of this id lies in Valkey."""
        raw = identifier.encode()
        return self.prefix + struct.pack("<II", 2, len(raw)) + raw

    def keys(self, identifiers: Sequence[str]) -> list[bytes]:
        """Where the rows of these ids lie in Valkey."""
        prefix, pack = self.prefix, struct.Struct("<II").pack
        return [prefix + pack(2, len(raw)) + raw for raw in map(str.encode, identifiers)]

    def to_json(self) -> bytes:
        """The plan as it is stored."""
        return msgspec.json.encode(self)

    @staticmethod
    def from_json(data: bytes) -> "Plan":
        """The plan as it was stored."""
        return msgspec.json.decode(data, type=Plan)


def convert(row: bytes, old: Plan, new: Plan) -> bytes:
    """A row of an older plan as the newer one has it: fields by name, missing ones by default, tail kept.

    An array that became longer keeps its start; a shorter one is cut.
    """
    before = np.frombuffer(row, old.dtype, 1)
    after = np.frombuffer(bytearray(new.default), new.dtype)
    for name in ("_time", "_version"):
        after[name] = before[name]
    for field in new.fields:
        if (same := old.field(field.name)) is None:
            continue
        if field.length:
            shared = min(field.length, same.length)
            after[field.name][:, :shared] = before[field.name][:, :shared]
        elif not same.length:
            after[field.name] = before[field.name]
    return after.tobytes() + row[old.size :]
