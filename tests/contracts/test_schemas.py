"""The documents that other languages read say what the code does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shared.schemas
from services.collector.events import Event, Line
from shared.messages import Behaviour, Item
from shared.schemas import CONTRACTS, documents, json_schema
from shared.schemas.structs import MESSAGES
from shared.topics import table
from tests.contracts.strategies import messages

FOLDER = Path(shared.schemas.__file__).parent
DOCUMENT = json.loads((FOLDER / "asyncapi.json").read_text(encoding="utf-8"))

REFERENCE = {"type": "object", "required": ["$ref"], "properties": {"$ref": {"pattern": "^#/"}}, "additionalProperties": False}
ASYNCAPI: dict[str, Any] = {  # the parts of AsyncAPI 3.0's own schema that our document uses
    "type": "object",
    "required": ["asyncapi", "info", "channels", "operations", "components"],
    "additionalProperties": False,
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "defaultContentType": {"type": "string"},
        "info": {
            "type": "object",
            "required": ["title", "version"],
            "properties": {"license": {"properties": {"name": {}, "url": {}}, "required": ["name"], "additionalProperties": False}},
        },
        "channels": {
            "additionalProperties": {
                "required": ["address", "messages"],
                "properties": {
                    "address": {"type": "string"},
                    "description": {"type": "string"},
                    "messages": {"additionalProperties": REFERENCE},
                    "bindings": {"required": ["kafka"]},
                },
                "additionalProperties": False,
            }
        },
        "operations": {
            "additionalProperties": {
                "required": ["action", "channel"],
                "properties": {"action": {"enum": ["send", "receive"]}, "channel": REFERENCE, "tags": {"type": "array"}},
                "additionalProperties": False,
            }
        },
        "components": {
            "properties": {
                "messages": {"additionalProperties": {"required": ["name", "payload"], "properties": {"payload": REFERENCE}}},
                "schemas": {"additionalProperties": {"$ref": "http://json-schema.org/draft-07/schema#"}},
            },
            "additionalProperties": False,
        },
    },
}


def test_the_documents_are_those_that_the_code_makes() -> None:
    made = documents()
    assert {path.name for path in FOLDER.glob("*.json")} == made.keys()
    for name, document in made.items():
        stored = json.loads((FOLDER / name).read_text(encoding="utf-8"))
        assert stored == json.loads(msgspec.json.encode(document)), f"{name} is old: run `python -m shared.schemas`"


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_each_schema_is_valid_and_says_what_it_is_of(name: str) -> None:
    schema = json_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:freshet:{name}"
    assert schema["$defs"][CONTRACTS[name].__name__]["description"]


@pytest.mark.parametrize("name", sorted(CONTRACTS))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_message_is_valid_by_its_schema(name: str, data: st.DataObject) -> None:
    value = json.loads(msgspec.json.encode(data.draw(messages(CONTRACTS[name]))))
    jsonschema.Draft202012Validator(json_schema(name)).validate(value)


@pytest.mark.parametrize("name", sorted(MESSAGES))
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_message_is_valid_by_the_asyncapi_document(name: str, data: st.DataObject) -> None:
    value = json.loads(msgspec.json.encode(data.draw(messages(MESSAGES[name]))))
    payload = DOCUMENT["components"]["messages"][MESSAGES[name].__name__]["payload"]
    jsonschema.Draft7Validator({**payload, "components": DOCUMENT["components"]}).validate(value)


@pytest.mark.parametrize("wrong", [{"price": -1}, {"user_id": ""}, {"item_id": 7}, {"action": None}, {"quantity": 0}])
def test_what_the_door_refuses_the_schema_refuses(wrong: dict[str, Any]) -> None:
    view = {"event_id": "e", "user_id": "u", "item_id": "i", "action": "view", "time": "2026-03-01T12:00:00Z"}
    schema = jsonschema.Draft202012Validator(json_schema("behaviour"))
    assert schema.is_valid(view)
    assert not schema.is_valid({**view, **wrong})
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**view, **wrong}, Behaviour)


@pytest.mark.parametrize(("door", "message"), [(Event, Behaviour), (Line, Item)])
def test_the_doors_take_the_fields_of_their_topic_and_no_others(door: type[msgspec.Struct], message: type[msgspec.Struct]) -> None:
    def fields(kind: type[msgspec.Struct]) -> dict[str, Any]:
        return {field.name: field.type for field in msgspec.structs.fields(kind)}

    assert fields(door) == fields(message)
    assert door.__struct_config__.forbid_unknown_fields
    assert not message.__struct_config__.forbid_unknown_fields


def test_the_asyncapi_document_has_the_structure_of_its_specification() -> None:
    jsonschema.Draft7Validator(ASYNCAPI).validate(DOCUMENT)


def test_a_structure_that_is_wrong_would_be_noticed() -> None:
    assert not jsonschema.Draft7Validator(ASYNCAPI).is_valid({**DOCUMENT, "chanels": {}})
    spoilt = {**DOCUMENT, "operations": {"x": {"action": "publish", "channel": {"$ref": "#/channels/items"}}}}
    assert not jsonschema.Draft7Validator(ASYNCAPI).is_valid(spoilt)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from _references(one)


def test_every_reference_leads_somewhere() -> None:
    references = set(_references(DOCUMENT))
    assert len(references) > 15
    for reference in references:
        node = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_every_topic_is_a_channel_with_a_writer_and_a_reader() -> None:
    assert DOCUMENT["channels"].keys() == table().keys()
    used = {(operation["action"], operation["channel"]["$ref"]) for operation in DOCUMENT["operations"].values()}
    assert used == {(action, f"#/channels/{name}") for name in table() for action in ("send", "receive")}
    for name, topic in table().items():
        assert DOCUMENT["channels"][name]["bindings"]["kafka"]["partitions"] == topic.partitions
