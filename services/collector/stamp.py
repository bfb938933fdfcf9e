"""What the collector adds to a message: its time, and the item's category, brand and price."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from services.collector.events import NOW, Event, Line
from shared.errors import BadInput
from shared.messages import Item

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
AHEAD = timedelta(minutes=5)
"""How far a sender's clock may run ahead of ours."""
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""The bound of a replay, whose clock is not ours."""


class Stamp(NamedTuple):
    """What an event takes over from the catalogue."""

    category: str | None = None
    brand: str | None = None
    price: float | None = None


class Catalogue:
    """The newest line of every item by the log's order. About 300 bytes an item, 150 for one that was removed."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[int, Stamp]] = {}
        self._removed: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._nothing = Stamp()

    def __len__(self) -> int:
        return len(self._lines)

    def put(self, item: Item, offset: int) -> None:
        """Take a line over, unless a record of a higher offset is known: ours may be read from the topic after its answer."""
        if offset >= self._newest(item.item_id):
            self._removed.pop(item.item_id, None)
            self._lines[item.item_id] = offset, Stamp(self._same(item.category), self._same(item.brand), item.price)

    def remove(self, item_id: str, offset: int) -> None:
        """Forget an item whose record is empty, unless one of a higher offset is known; older lines do not bring it back."""
        if offset >= self._newest(item_id):
            self._lines.pop(item_id, None)
            self._removed[item_id] = offset

    def of(self, item_id: str) -> Stamp:
        """The item's stamp; an empty one for an item that no line describes."""
        line = self._lines.get(item_id)
        return line[1] if line else self._nothing

    def _newest(self, item_id: str) -> int:
        line = self._lines.get(item_id)
        return line[0] if line else self._removed.get(item_id, -1)

    def _same(self, name: str | None) -> str | None:
        """One string for all items of a category or brand."""
        return None if name is None else self._names.setdefault(name, name)


class Clock:
    """Which times are accepted: with the wall clock, up to five minutes ahead of it; with the event clock, any that is given."""

    def __init__(self, *, wall: bool) -> None:
        self.wall = wall

    def settle(self, given: datetime, now: datetime, index: int) -> datetime:
        """The message's time in UTC.

        Raises:
            BadInput: it lies in the future, before 1970, or is missing where the wall's time would mean nothing.
        """
        if given is NOW:
            if not self.wall:
                raise BadInput("`time` is required with FRESHET_CLOCK=event: a replay has its own.", field="time", index=index)
            return now
        if given > (now + AHEAD if self.wall else LATEST):
            reason = f"`time` {given.isoformat()} is in the future; now is {now.isoformat()}. Check the sender's clock."
            raise BadInput(reason, field="time", index=index)
        if given < EARLIEST:
            raise BadInput(f"`time` {given.isoformat()} is before 1970. Check the sender's clock.", field="time", index=index)
        return given if given.tzinfo is UTC else given.astimezone(UTC)


def stamp_event(event: Event, catalogue: Catalogue, clock: Clock, now: datetime, index: int) -> Event:
    """The event with its time, and with what it leaves out taken from its item.

    Raises:
        BadInput: the clock refuses its time.
    """
    line = catalogue.of(event.item_id)
    return replace(
        event,
        time=clock.settle(event.time, now, index),
        category=line.category if event.category is None else event.category,
        brand=line.brand if event.brand is None else event.brand,
        price=line.price if event.price is None else event.price,
    )


def stamp_line(line: Line, clock: Clock, now: datetime, index: int) -> Line:
    """The catalogue's line with its time.

    Raises:
        BadInput: the clock refuses its time.
    """
    return replace(line, time=clock.settle(line.time, now, index))
