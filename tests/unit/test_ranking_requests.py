"""What may be asked of ranking."""

import msgspec
import pytest

from services.ranking.requests import parse_rank
from shared.errors import BadInput


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
