"""The contracts as documents that other languages read: one JSON Schema a Struct, and one AsyncAPI document over all topics.

``python -m shared.schemas`` writes them beside this file, from ``messages.py`` and ``topics.py``; tests hold them to the code.
"""

from shared.schemas.asyncapi import asyncapi
from shared.schemas.structs import CONTRACTS, json_schema

__all__ = ["CONTRACTS", "documents", "json_schema"]


def documents() -> dict[str, object]:
    """Every document by its file name."""
    return {"asyncapi.json": asyncapi()} | {f"{name}.json": json_schema(name) for name in CONTRACTS}
