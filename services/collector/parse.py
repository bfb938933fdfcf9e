"""From a request's body to messages: all of them, or one sentence about the first that is wrong."""

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Generic, TypeVar

import msgspec

from services.collector.events import Event, Line
from shared.decoding import Fault, fault
from shared.errors import BadInput, NotJson
from shared.messages import REMEMBERED_EVENTS

M = TypeVar("M", Event, Line)

AGAIN = "Nothing was sent: correct it and send the whole request again."


def check_repeatable(events: Sequence[Event]) -> None:
    """Refuse a list that could not be sent again without being counted twice.

    Raises:
        BadInput: it holds more events of one user than are remembered of one; names the first that is too many.
    """
    if len(events) <= REMEMBERED_EVENTS:
        return
    of_user = Counter[str]()
    for i, event in enumerate(events):
        of_user[event.user_id] += 1
        if of_user[event.user_id] > REMEMBERED_EVENTS:
            many = f"More than {REMEMBERED_EVENTS} events of one user: send them in several requests."
            raise BadInput(many, field="user_id", index=i)


class Parser(Generic[M]):
    """Reads bodies of one kind of message: an object, a list of objects, or objects one after another (NDJSON)."""

    def __init__(self, kind: type[M]) -> None:
        self._one: msgspec.json.Decoder[M] = msgspec.json.Decoder(kind)
        self._list: msgspec.json.Decoder[list[M]] = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
        self._fields = tuple(field.encode_name for field in msgspec.structs.fields(kind))

    def parse(self, body: bytes) -> Sequence[M]:
        """The messages of a body, in order; which of the three forms it has is seen from its first character.

        Raises:
            NotJson: it is not JSON, or empty.
            BadInput: a message is not as its contract says; names the index in the list, and the field.
        """
        start = body.lstrip()[:1]
        if not start:
            raise NotJson("The body is empty: send one JSON object, a list of them, or one a line (NDJSON).")
        try:
            return self._list.decode(body) if start == b"[" else self._one.decode_lines(body)
        except msgspec.ValidationError as error:
            raise self._explain(fault(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotJson(f"The body is not JSON in UTF-8 ({error}). {AGAIN}") from None

    def _explain(self, found: Fault) -> BadInput:
        suggestion = self._suggestion(found.unknown) if found.unknown else ""
        return BadInput(f"{found.what}{suggestion}. {AGAIN}", field=found.field, index=found.index or 0)

    def _suggestion(self, name: str) -> str:
        near = get_close_matches(name, self._fields, n=1)
        return f" (did you mean `{near[0]}`?)" if near else f" (there is {', '.join(self._fields)})"
