"""Services of two versions exchange every message: each reads the other's, and loses nothing that both know."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.features.by_item import Packed
from shared import messages as today
from shared.schemas import CONTRACTS
from tests.contracts import v1, v2
from tests.contracts.strategies import messages

TODAY = CONTRACTS | {"behaviour-by-item": Packed}
VERSIONS = [(version, name) for version in (v1, v2) for name in sorted(TODAY) if hasattr(version, TODAY[name].__name__)]
CODECS = [msgspec.json, msgspec.msgpack]


def _known(value: Any, kind: type[msgspec.Struct]) -> Any:
    """The message as another version of its Struct would hold it, by names alone."""
    return msgspec.convert(msgspec.to_builtins(value), kind)


def _passes(codec: Any, sent: msgspec.Struct, kind: type[msgspec.Struct]) -> None:
    """The other version reads the message, and sends it back as it was wherever it knows the fields."""
    read = codec.decode(codec.encode(sent), type=kind)
    assert read == _known(sent, kind)
    assert _known(codec.decode(codec.encode(read), type=type(sent)), kind) == read


each_version = pytest.mark.parametrize(("version", "name"), VERSIONS, ids=[f"{v.__name__[-2:]}-{name}" for v, name in VERSIONS])


@each_version
@pytest.mark.parametrize("codec", CODECS, ids=["json", "msgpack"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_a_version_sent_is_read_today(version: Any, name: str, codec: Any, data: st.DataObject) -> None:
    _passes(codec, data.draw(messages(getattr(version, TODAY[name].__name__))), TODAY[name])


@each_version
@pytest.mark.parametrize("codec", CODECS, ids=["json", "msgpack"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_sent_today_is_read_by_that_version(version: Any, name: str, codec: Any, data: st.DataObject) -> None:
    _passes(codec, data.draw(messages(TODAY[name])), getattr(version, TODAY[name].__name__))


@each_version
def test_every_field_of_a_version_is_still_there_and_new_ones_have_defaults(version: Any, name: str) -> None:
    old, new = (msgspec.structs.fields(kind) for kind in (getattr(version, TODAY[name].__name__), TODAY[name]))
    before = [field.name for field in old]
    assert {*before} <= {field.name for field in new}
    assert not [field.name for field in new if field.required and field.name not in before]
    if name == "behaviour-by-item":  # read by place
        assert [field.name for field in new][: len(before)] == before


class Renamed(today.Message, frozen=True, kw_only=True):
    """What nobody may do to a message: ``task`` under another name."""

    model: str
    version: str
    parent: str | None
    manifest: str
    published_at: float


class Extended(today.BundleAnnouncement, frozen=True, kw_only=True):
    """What anybody may do: a field more, with a default."""

    note: str = ""


ANNOUNCED = today.BundleAnnouncement(task="ranking", version="00000001-0001", parent=None, manifest="m", published_at=1.0)


def test_a_renamed_field_would_be_noticed() -> None:
    with pytest.raises(msgspec.ValidationError, match="model"):
        _passes(msgspec.json, ANNOUNCED, Renamed)


def test_an_added_field_with_a_default_passes_both_ways() -> None:
    _passes(msgspec.json, ANNOUNCED, Extended)
    _passes(msgspec.json, Extended(**msgspec.structs.asdict(ANNOUNCED), note="new"), today.BundleAnnouncement)
