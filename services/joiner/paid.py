"""Which labels of a waiting impression are paid, and from where behaviour must be read again to know it."""

import heapq


class Paid:
    """The first outcome of a (request, item, action) counts; so behaviour's commit is held at the first outcome of what waits."""

    def __init__(self) -> None:
        self._labels: dict[int, set[tuple[int, str]]] = {}  # ordinal of the impression → (index of the item, action)
        self._first: list[tuple[int, int]] = []  # heap of (offset of its first outcome, ordinal)

    def __len__(self) -> int:
        return len(self._labels)

    def pay(self, ordinal: int, offset: int, label: tuple[int, str]) -> bool:
        """Note a label; whether it is the first of its kind."""
        labels = self._labels.get(ordinal)
        if labels is None:
            self._labels[ordinal] = {label}
            heapq.heappush(self._first, (offset, ordinal))
            return True
        if label in labels:
            return False
        labels.add(label)
        return True

    def forget(self, ordinal: int) -> None:
        """Its impression waits no longer."""
        self._labels.pop(ordinal, None)

    def first_offset(self, oldest: int, default: int) -> int:
        """Offset of the first outcome of any impression from ordinal ``oldest`` on; ``default`` where there is none."""
        while self._first and self._first[0][1] < oldest:
            heapq.heappop(self._first)
        return self._first[0][0] if self._first else default
