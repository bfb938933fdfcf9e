"""How the HTTP doors say no: for the same error the same status and the same JSON, whichever service was asked."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from shared.errors import BadInput, Denied, NotJson, TooLarge, Unavailable

NONE: Mapping[str, str] = MappingProxyType({})
RETRY_AFTER = {"Retry-After": "1"}
CHALLENGE = {"WWW-Authenticate": "Bearer"}

_encode = msgspec.json.Encoder().encode


class Reply(NamedTuple):
    """An answer; its headers are those beside the body's type and length."""

    status: int
    body: bytes
    headers: Mapping[str, str] = NONE


class Refusal(msgspec.Struct, omit_defaults=True):
    """What is wrong and what to do; ``field`` and ``index`` are those of :class:`shared.errors.BadInput`."""

    detail: str
    field: str = ""
    index: int | None = None


def refusal(status: int, detail: str, headers: Mapping[str, str] = NONE) -> Reply:
    """The answer that says only this."""
    return Reply(status, _encode(Refusal(detail)), headers)


def refused(error: Exception) -> Reply:
    """The answer to a request that raised: 400, 401, 403, 413, 422, 429 or 503 by the error; 500 where nobody meant to raise it."""
    match error:
        case Denied():
            return refusal(error.status, str(error), _way_in(error))
        case BadInput():
            status = 400 if isinstance(error, NotJson) else 413 if isinstance(error, TooLarge) else 422
            return Reply(status, _encode(Refusal(error.reason, error.field, error.index)))
        case Unavailable():
            return refusal(503, str(error), RETRY_AFTER)
    return refusal(500, "This cannot be answered: the service's log says why.")


def _way_in(error: Denied) -> Mapping[str, str]:
    if error.retry:
        return {"Retry-After": str(error.retry)}
    return CHALLENGE if error.status == 401 else NONE
