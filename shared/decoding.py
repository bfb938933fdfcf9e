"""Decoding what others sent, whatever its bytes: what stands on a topic, and what is wrong with it or with a request's body."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from shared.errors import BadRecord

T = TypeVar("T")

_SENTENCE = re.compile(r"(?P<what>.*?)(?: - at `\$(?:\[(?P<index>\d+)\])?\.?(?P<field>.*)`)?$", re.DOTALL)
_NAMED = re.compile(r"(?P<kind>unknown|missing required) field `(?P<name>.*?)`", re.DOTALL)


class Record(Protocol):
    """What a consumer reads: aiokafka's ConsumerRecord, Faust's message, or a test's own."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def timestamp(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Fault:
    """How a message is not as its contract says."""

    what: str
    """A sentence without the place and the full stop."""
    field: str
    """Path of the field, such as ``price`` or ``candidates[3].item_id``; empty for the whole message."""
    index: int | None
    """Position in the list that was sent, or ``None`` where there is no list."""
    unknown: str
    """Name of the field where the contract has none of that name, else empty."""


def decoded(decode: Callable[[bytes], T], value: bytes | None) -> T:
    """What a record's value says; ``decode`` is a msgspec decoder's, which lets two errors through that are not its own.

    Raises:
        BadRecord: ``undecodable``: the value is no such message, holds text that is no UTF-8, or is nested too deep.
    """
    try:
        return decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord("undecodable", str(error)) from None


def fault(error: msgspec.ValidationError) -> Fault:
    """What msgspec's sentence says, taken apart."""
    found = _SENTENCE.match(str(error))
    assert found, "the pattern matches any text"
    what, field, index = found["what"], found["field"] or "", found["index"]
    named = _NAMED.search(what)
    if named:
        field = f"{field}.{named['name']}".removeprefix(".")
    unknown = named["name"] if named and named["kind"] == "unknown" else ""
    return Fault(what, field, int(index) if index else None, unknown)
