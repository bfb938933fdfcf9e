"""The topics, as one table: what ``freshet topics`` creates, and what every service checks before it starts."""

from dataclasses import dataclass

from shared import messages
from shared.tasks import TASKS

HOUR = 3_600_000
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic's shape on the broker."""

    name: str
    partitions: int
    key: str
    """The field that decides the partition (murmur2 of its UTF-8 bytes); empty for a single partition."""
    cleanup: str = "delete"
    retention_ms: int = 7 * DAY
    append_time: bool = False
    """The broker stamps each record: LogAppendTime. It alone decides which record carries a label."""
    compression: str = "producer"

    def configs(self) -> dict[str, str]:
        """The broker's settings for it."""
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms),
            "message.timestamp.type": "LogAppendTime" if self.append_time else "CreateTime",
            "compression.type": self.compression,
            "max.message.bytes": str(8 << 20),
        }


def examples(task: str) -> str:
    """The topic of a task's examples."""
    return f"{messages.Example.topic}.{task}"


def windows(task: str) -> str:
    """The topic of a task's window plans."""
    return f"{messages.WindowPlan.topic}.{task}"


BEHAVIOUR_BY_ITEM = "behaviour-by-item"
"""Internal: what the features service repartitions by item."""

CLOCK = "clock"
"""Internal: empty records whose append times tell the brokers' clocks."""


def table(partitions: int = 16) -> dict[str, Topic]:
    """Every topic of the system by name, with this many partitions for the keyed ones."""
    keyed = [
        Topic(messages.Behaviour.topic, partitions, "user_id", append_time=True),
        Topic(BEHAVIOUR_BY_ITEM, partitions, "item_id"),
        Topic(messages.Item.topic, partitions, "item_id", cleanup="compact", retention_ms=-1),
        Topic(messages.Impression.topic, partitions, "user_id", append_time=True),
        Topic(CLOCK, partitions, "", retention_ms=HOUR, append_time=True),
        Topic(messages.DeadLetter.topic, partitions, "", retention_ms=30 * DAY),
        *(Topic(examples(task), partitions, "user_id") for task in TASKS),
    ]
    single = [
        Topic(messages.BundleAnnouncement.topic, 1, ""),
        *(Topic(windows(task), 1, "", retention_ms=-1) for task in TASKS),
    ]
    return {topic.name: topic for topic in keyed + single}
