"""The edge to Kafka: clients as Freshet needs them, the topics on the broker, and which partition a key belongs to."""

from shared.kafka import connections as _connections  # noqa: F401 (it mends aiokafka for all that follows)
from shared.kafka.clients import admin, consumer, deliver, producer, started, until_kafka_answers
from shared.kafka.partitions import partition_for
from shared.kafka.topics import check_topics, ensure_topics

__all__ = [
    "admin",
    "check_topics",
    "consumer",
    "deliver",
    "ensure_topics",
    "partition_for",
    "producer",
    "started",
    "until_kafka_answers",
]
