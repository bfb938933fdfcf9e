"""Recognising what was delivered before: records that name their origin, in the order of their origins."""

from collections.abc import Mapping

from shared.messages import Origin


class Origins:
    """The highest origin offset seen of each (topic, partition): whatever is not above it was seen before.

    It holds for a stream whose writers send each origin partition in offset order without a gap, however often they begin again and
    however many of them there are: then the first record above the highest is the next one.
    """

    def __init__(self, highest: Mapping[tuple[str, int], int] | None = None) -> None:
        self.highest: dict[tuple[str, int], int] = dict(highest or {})

    def passed(self, origin: Origin) -> bool:
        """Whether this record was seen before."""
        return origin.offset <= self.highest.get((origin.topic, origin.partition), -1)

    def is_new(self, origin: Origin) -> bool:
        """Whether this record comes for the first time; notes that it came."""
        if self.passed(origin):
            return False
        self.highest[origin.topic, origin.partition] = origin.offset
        return True

    def state(self) -> dict[str, int]:
        """To keep with what was made from the stream: ``topic/partition`` → offset."""
        return {f"{topic}/{partition}": offset for (topic, partition), offset in sorted(self.highest.items())}

    @classmethod
    def load(cls, state: Mapping[str, int]) -> "Origins":
        """From what was kept, after a restart."""
        split = {name: name.rsplit("/", 1) for name in state}
        return cls({(topic, int(partition)): state[name] for name, (topic, partition) in split.items()})
