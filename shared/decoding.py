"""Decoding what stands on a topic, whatever its bytes."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from shared.errors import BadRecord

T = TypeVar("T")


def decoded(decode: Callable[[bytes], T], value: bytes | None) -> T:
    """What a record's value says; ``decode`` is a msgspec decoder's, which lets two errors through that are not its own.

    Raises:
        BadRecord: ``undecodable``: the value is no such message, holds text that is no UTF-8, or is nested too deep.
    """
    try:
        return decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord("undecodable", str(error)) from None
