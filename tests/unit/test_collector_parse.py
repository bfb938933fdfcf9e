"""A body is taken whole, or refused with one sentence that names the index and the field."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collector.events import NOW, Event, Line
from services.collector.parse import NotJson, Parser, check_repeatable
from shared.errors import BadInput
from shared.messages import REMEMBERED_EVENTS

VIEW = {"event_id": "e1", "user_id": "ana", "item_id": "tea", "action": "view"}
events, lines = Parser(Event), Parser(Line)


def _body(*values: Any) -> bytes:
    return json.dumps(list(values)).encode()


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(VIEW).encode(),
        json.dumps(VIEW, indent=2).encode(),
        json.dumps([VIEW]).encode(),
        b"\n " + json.dumps(VIEW).encode() + b"\r\n",
    ],
)
def test_one_event_may_come_alone_or_in_a_list(body: bytes) -> None:
    assert [event.event_id for event in events.parse(body)] == ["e1"]


def test_lines_keep_their_order() -> None:
    body = "\n".join(json.dumps({**VIEW, "event_id": str(n)}) for n in range(50)) + "\n\n"
    assert [event.event_id for event in events.parse(body.encode())] == [str(n) for n in range(50)]


def test_an_empty_list_is_a_list() -> None:
    assert events.parse(b"[]") == []


def test_a_time_left_out_is_marked_and_one_given_is_kept() -> None:
    missing, given_ = events.parse(_body(VIEW, {**VIEW, "time": "2017-03-01T10:00:00Z"}))
    assert missing.time is NOW
    assert given_.time.isoformat() == "2017-03-01T10:00:00+00:00"


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"usr_id": "bo"}, "usr_id", r"unknown field `usr_id` \(did you mean `user_id`\?\)"),
        ({"xyzzy": 1}, "xyzzy", r"unknown field `xyzzy` \(there is event_id, user_id"),
        ({"user_id": 7}, "user_id", "Expected `str`, got `int`"),
        ({"user_id": ""}, "user_id", "length >= 1"),
        ({"user_id": "u" * 257}, "user_id", "length <= 256"),
        ({"price": -1}, "price", ">= 0"),
        ({"price": "3.50"}, "price", r"Expected `float \| null`, got `str`"),
        ({"quantity": 0}, "quantity", "> 0"),
        ({"time": "yesterday"}, "time", "RFC3339"),
        ({"time": "2026-01-01T10:00:00"}, "time", "timezone"),
        ({"time": 1767261600}, "time", "Expected `datetime`"),
        ({"context": {"a": [1]}}, "context[...]", r"Expected `float \| str`"),
    ],
)
@pytest.mark.parametrize("index", [0, 2])
def test_what_is_wrong_is_named_by_index_and_field(wrong: dict[str, Any], field: str, says: str, index: int) -> None:
    body = [VIEW, VIEW, VIEW]
    body[index] = {**VIEW, **wrong}
    with pytest.raises(BadInput, match=says) as caught:
        events.parse(_body(*body))
    assert (caught.value.field, caught.value.index) == (field, index)
    assert str(caught.value).endswith("Nothing was sent: correct it and send the whole request again.")


@pytest.mark.parametrize("field", ["event_id", "user_id", "item_id", "action"])
def test_a_missing_field_is_named(field: str) -> None:
    rest = {name: value for name, value in VIEW.items() if name != field}
    with pytest.raises(BadInput, match=f"missing required field `{field}`") as caught:
        events.parse(_body(VIEW, rest))
    assert (caught.value.field, caught.value.index) == (field, 1)


def test_a_wrong_line_of_ndjson_is_named_by_its_index() -> None:
    body = json.dumps(VIEW) + "\n" + json.dumps({**VIEW, "action": None})
    with pytest.raises(BadInput) as caught:
        events.parse(body.encode())
    assert (caught.value.field, caught.value.index) == ("action", 1)


def test_a_list_that_could_not_be_sent_again_is_refused() -> None:
    sent = [Event(event_id=f"e{n}", user_id="ana", item_id="tea", action="view") for n in range(REMEMBERED_EVENTS)]
    others = [Event(event_id=f"o{n}", user_id=f"u{n % 2}", item_id="tea", action="view") for n in range(2 * REMEMBERED_EVENTS)]
    check_repeatable([*others, *sent])
    with pytest.raises(BadInput, match="several requests") as caught:
        check_repeatable([*others, *sent, sent[0]])
    assert (caught.value.field, caught.value.index) == ("user_id", 3 * REMEMBERED_EVENTS)


def test_the_catalogue_has_its_own_fields() -> None:
    assert lines.parse(b'{"item_id": "tea", "title": "Green tea", "stock": 3}')[0].stock == 3
    with pytest.raises(BadInput, match="did you mean `category`") as caught:
        lines.parse(b'{"item_id": "tea", "categories": "tea"}')
    assert caught.value.field == "categories"


@pytest.mark.parametrize(
    "body", [b"", b" \n", b"\xff", b'{"event_id": "a"', b"[1,", b"event", b'[{"event_id": "\xff"}]', b'{"event_id": "\\ud800"}']
)
def test_what_is_no_json_is_refused_as_such_or_by_its_content(body: bytes) -> None:
    with pytest.raises(BadInput, match="send"):
        events.parse(body)


@pytest.mark.parametrize("body", [b"", b" \n", b"\xff", b"event"])
def test_no_json_is_another_error_than_wrong_json(body: bytes) -> None:
    with pytest.raises(NotJson):
        events.parse(body)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_in_another_way(body: bytes) -> None:
    with suppress(BadInput):
        events.parse(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_no_json_makes_it_fail_in_another_way(value: Any) -> None:
    with suppress(BadInput):
        events.parse(_body(value))
