"""One AsyncAPI 3.0 document: the topics, what is on them, and which service writes and reads each."""

from typing import Any

from shared.schemas.structs import MESSAGES, components
from shared.topics import BEHAVIOUR_BY_ITEM, CLOCK, Topic, table

VERSION = "1.0.0"
"""Of the contracts: the second number grows with every field that is added."""

JSON_TOPICS = frozenset({"behaviour", "items", "dead-letters", "bundles"})

FLOW: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "behaviour": (("collector",), ("features", "joiner")),
    BEHAVIOUR_BY_ITEM: (("features",), ("features",)),
    CLOCK: (("joiner",), ("joiner",)),
    "items": (("collector",), ("collector", "features", "updater")),
    "impressions": (("ranking",), ("joiner",)),
    "examples": (("joiner",), ("joiner", "updater")),
    "windows": (("updater",), ("joiner", "updater")),
    "bundles": (("updater",), ("ranking",)),
    "dead-letters": (("collector", "features", "joiner", "updater"), ("operator",)),
}
"""Topic, by the part before the dot → (who writes it, who reads it)."""


def asyncapi() -> dict[str, Any]:
    """The document."""
    topics = table()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Freshet",
            "version": VERSION,
            "description": "What travels between a shop and its models. Fields are only ever added, with a default; readers ignore "
            "fields that they do not know. Keys are placed by murmur2, Kafka's default.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(topic) for name, topic in topics.items()},
        "operations": {name: operation for topic in topics for name, operation in _operations(topic).items()},
        "components": {"messages": {kind.__name__: _message(name) for name, kind in MESSAGES.items()}, "schemas": _schemas()},
    }


def _kind(topic: str) -> str:
    return topic.partition(".")[0]


def _channel(topic: Topic) -> dict[str, Any]:
    configs = topic.configs()
    known = MESSAGES.get(_kind(topic.name))
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}." if topic.key else "No key decides the partition.",
        "messages": {known.__name__: {"$ref": f"#/components/messages/{known.__name__}"}} if known else {},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [configs["cleanup.policy"]],
                    "retention.ms": int(configs["retention.ms"]),
                    "max.message.bytes": int(configs["max.message.bytes"]),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations(topic: str) -> dict[str, Any]:
    writers, readers = FLOW[_kind(topic)]
    roles = [("send", writer) for writer in writers] + [("receive", reader) for reader in readers]
    return {
        f"{service}.{action}.{topic}": {"action": action, "channel": {"$ref": f"#/channels/{topic}"}, "tags": [{"name": service}]}
        for action, service in roles
    }


def _message(topic: str) -> dict[str, Any]:
    kind = MESSAGES[topic]
    return {
        "name": kind.__name__,
        "summary": (kind.__doc__ or "").partition("\n")[0],
        "contentType": "application/json" if topic in JSON_TOPICS else "application/msgpack",
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
    }


def _schemas() -> dict[str, Any]:
    _, parts = components(MESSAGES.values(), "#/components/schemas/{name}")
    return {name: _draft_07(part) for name, part in parts.items()}


def _draft_07(node: Any) -> Any:
    """The same schema in the draft that AsyncAPI's own schemas are made of, where tuples are written otherwise."""
    if isinstance(node, list):
        return [_draft_07(one) for one in node]
    if not isinstance(node, dict):
        return node
    fixed = {name: _draft_07(value) for name, value in node.items()}
    if "prefixItems" in fixed:
        fixed = {**{k: v for k, v in fixed.items() if k != "prefixItems"}, "items": fixed["prefixItems"]}
    return fixed
