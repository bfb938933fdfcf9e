"""Recognising what was delivered before: records that name their origin, in the order of their origins."""

from collections.abc import Iterator, Mapping

from shared.messages import Origin


class Origins:
    """The highest origin offset seen of each (topic, partition): whatever is not above it was seen before.

    It holds for a stream whose writers send each origin partition in offset order without a gap, however often they begin again and
    however many of them there are: then the first record above the highest is the next one.
    """

    def __init__(self, highest: Mapping[tuple[str, int], int] | None = None) -> None:
        self.highest: dict[tuple[str, int], int] = dict(highest or {})
        """State to keep with what was made from the stream; given back to the constructor after a restart."""

    def is_new(self, origin: Origin) -> bool:
        """Whether this record comes for the first time; notes that it came."""
        source = origin.topic, origin.partition
        if origin.offset <= self.highest.get(source, -1):
            return False
        self.highest[source] = origin.offset
        return True

    def __iter__(self) -> Iterator[Origin]:
        """The highest origins, sorted."""
        return iter(sorted(Origin(topic, partition, offset) for (topic, partition), offset in self.highest.items()))
