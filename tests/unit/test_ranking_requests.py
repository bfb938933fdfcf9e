"""What may be asked of ranking."""

import msgspec
import pytest

from services.ranking.requests import parse_rank, parse_recommend
from shared.errors import BadInput, NotJson


def body(value: float) -> bytes:
    return msgspec.json.encode({"user_id": "u", "candidates": [{"item_id": "i", "context": {"display": value}}]})


@pytest.mark.parametrize("value", [1e12, -1e12])
def test_a_context_may_be_large(value: float) -> None:
    assert parse_rank(body(value), ("display",)).candidates[0].context == {"display": value}


@pytest.mark.parametrize("value", [1.01e12, -1.01e12, 1e300])
def test_a_context_that_a_float32_may_not_hold_is_refused_by_name(value: float) -> None:
    with pytest.raises(BadInput) as caught:
        parse_rank(body(value), ("display",))
    assert caught.value.field == "candidates[0].context[...]"


@pytest.mark.parametrize(
    ("sent", "field", "says"),
    [
        (b'{"candidates": []}', "candidates", "length >= 1"),
        (b'{"candidates": [{"item_id": "i"}, {"item_id": 3}]}', "candidates[1].item_id", "Expected `str`, got `int`."),
        (b'{"candidates": [{"item_id": "i", "colour": 1}]}', "candidates[0].colour", "unknown field `colour`."),
        (b'{"candidates": [{}]}', "candidates[0].item_id", "missing required field `item_id`."),
        (b'{"user_id": "u"}', "candidates", "missing required field `candidates`."),
        (b"[]", "", "Expected `object`, got `array`."),
    ],
)
def test_what_is_wrong_is_named_by_its_field(sent: bytes, field: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        parse_rank(sent, ())
    assert (caught.value.field, caught.value.index) == (field, None)


@pytest.mark.parametrize("sent", [b"", b"{", b"\xff", b'{"user_id": "\xff"}'])
def test_no_json_is_another_error_than_wrong_json(sent: bytes) -> None:
    with pytest.raises(NotJson):
        parse_recommend(sent)
