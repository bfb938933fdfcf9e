"""JSON Schemas of the Structs, with what their docstrings say about each field."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgspec

from shared import messages
from shared.bundles import manifest

MESSAGES: dict[str, type[messages.Message]] = {
    kind.topic: kind
    for kind in (
        messages.Behaviour,
        messages.Item,
        messages.Impression,
        messages.Example,
        messages.WindowPlan,
        messages.BundleAnnouncement,
        messages.DeadLetter,
    )
}
"""The Struct of each topic; of a topic for each task, by the part before the dot."""

CONTRACTS: dict[str, type[msgspec.Struct]] = {**MESSAGES, "manifest": manifest.Manifest, "pointer": manifest.Pointer}
"""All that services of two versions exchange, by the name of its schema."""


def json_schema(name: str) -> dict[str, Any]:
    """The schema of one contract, whole: JSON Schema 2020-12.

    On topics that carry msgpack it describes the same fields, where bytes travel as they are.
    """
    (top,), parts = components([CONTRACTS[name]], "#/$defs/{name}")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:freshet:{name}"}
    return {**head, **top, "$defs": parts}


def components(kinds: Iterable[type[msgspec.Struct]], reference: str) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """References to the Structs, and the schema of each Struct in them by its name."""
    tops, parts = msgspec.json.schema_components(list(kinds), ref_template=reference)
    for name, part in parts.items():
        kind = getattr(messages, name, None) or getattr(manifest, name)
        part["description"] = inspect.cleandoc(kind.__doc__)
        for field, said in field_docstrings(kind).items():
            part.get("properties", {}).get(field, {})["description"] = said
    return tuple(tops), parts


def field_docstrings(kind: type) -> dict[str, str]:
    """What the line below each field says, by the field's name."""
    module = ast.parse(textwrap.dedent(inspect.getsource(sys.modules[kind.__module__])))
    body = next(node.body for node in module.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    return {
        field.target.id: inspect.cleandoc(said.value.value)
        for field, said in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant) and isinstance(said.value.value, str)
    }
