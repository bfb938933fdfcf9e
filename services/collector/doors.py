"""What happens behind each door: parse the body, stamp every message, send them all, say where each stands."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from services.collector import metrics
from services.collector.events import Event, Line
from services.collector.parse import Parser, check_repeatable
from services.collector.send import Place, Record
from services.collector.stamp import Catalogue, Clock, stamp_event, stamp_line
from shared.messages import Behaviour, Item

Release = Callable[[], None]
Send = Callable[[str, Sequence[Record], Release], Awaitable[list[Place]]]

encode = msgspec.json.Encoder().encode


class Accepted(msgspec.Struct):
    """Where a message stands on its topic."""

    partition: int
    offset: int
    event_id: str | msgspec.UnsetType = msgspec.UNSET
    item_id: str | msgspec.UnsetType = msgspec.UNSET


class Answer(msgspec.Struct):
    """All of a request's messages, in its order."""

    accepted: list[Accepted]


class Door(Protocol):
    """One route."""

    name: str

    async def accept(self, body: bytes, release: Callable[[], Release], now: datetime) -> Answer:
        """Send what the body holds.

        ``release`` hands over what gives the body's memory back, and is called just before sending: until then it is the caller's.

        Raises:
            BadInput: something in the body is wrong; nothing was sent.
            KafkaUnavailable: not everything was acknowledged.
        """
        ...


class EventDoor:
    """``POST /events``: what shoppers did."""

    name = "events"

    def __init__(self, send: Send, catalogue: Catalogue, clock: Clock) -> None:
        self._send, self._catalogue, self._clock = send, catalogue, clock
        self._parser = Parser(Event)

    async def accept(self, body: bytes, release: Callable[[], Release], now: datetime) -> Answer:
        sent = self._parser.parse(body)
        check_repeatable(sent)
        events = [stamp_event(event, self._catalogue, self._clock, now, i) for i, event in enumerate(sent)]
        records = [Record(event.user_id.encode(), encode(event)) for event in events]
        places = await self._send(Behaviour.topic, records, release())
        for event in events:
            metrics.count_event(event.action)
        return Answer([Accepted(p.partition, p.offset, event_id=event.event_id) for p, event in zip(places, events, strict=True)])


class ItemDoor:
    """``POST /items``: lines of the catalogue. Events that follow the answer are stamped from them."""

    name = "items"

    def __init__(self, send: Send, catalogue: Catalogue, clock: Clock) -> None:
        self._send, self._catalogue, self._clock = send, catalogue, clock
        self._parser = Parser(Line)

    async def accept(self, body: bytes, release: Callable[[], Release], now: datetime) -> Answer:
        lines = [stamp_line(line, self._clock, now, i) for i, line in enumerate(self._parser.parse(body))]
        records = [Record(line.item_id.encode(), encode(line)) for line in lines]
        places = await self._send(Item.topic, records, release())
        for line, place in zip(lines, places, strict=True):
            self._catalogue.put(line, place.offset)
        metrics.items.inc(len(lines))
        return Answer([Accepted(p.partition, p.offset, item_id=line.item_id) for p, line in zip(places, lines, strict=True)])
