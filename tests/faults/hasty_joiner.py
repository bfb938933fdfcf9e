"""A joiner without its safeguard: it commits all that it has read. What shows that the kill tests can fail."""

import sys

from services.joiner import __main__ as entry
from services.joiner.join import Partition
from services.joiner.records import Mark, Safe


def hasty(partition: Partition) -> Safe:
    """As if nothing waited and all was emitted."""
    shown, answered = partition.shown_next, partition.answered_next
    return Safe(Mark(shown, shown), Mark(answered, answered))


if __name__ == "__main__":
    Partition.safe = hasty  # type: ignore[method-assign]
    sys.exit(entry.main())
