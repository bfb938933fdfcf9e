"""Which labels of a waiting impression are paid, and from where behaviour must be read again to know it."""

import heapq


class Paid:
    """The first outcome of a (request, item, action) counts; so behaviour's commit is held at the first outcome of what waits.

    A label is a number: that of the item and the action together.
    """

    def __init__(self) -> None:
        self._labels: dict[int, int] = {}  # ordinal of the impression → a bit for each label
        self._first: list[tuple[int, int]] = []  # heap of (offset of its first outcome, ordinal)

    def __len__(self) -> int:
        return len(self._labels)

    def pay(self, ordinal: int, offset: int, label: int) -> bool:
        """Note a label; whether it is the first of its kind."""
        labels = self._labels.get(ordinal, 0)
        if labels >> label & 1:
            return False
        if not labels:
            heapq.heappush(self._first, (offset, ordinal))
        self._labels[ordinal] = labels | 1 << label
        return True

    def forget(self, ordinal: int) -> None:
        """Its impression waits no longer."""
        self._labels.pop(ordinal, None)

    def first_offset(self, oldest: int, default: int) -> int:
        """Offset of the first outcome of any impression from ordinal ``oldest`` on; ``default`` where there is none."""
        while self._first and self._first[0][1] < oldest:
            heapq.heappop(self._first)
        return self._first[0][0] if self._first else default
