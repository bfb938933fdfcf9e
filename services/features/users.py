"""Counts what users do, and passes on what counts to the items."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from services.features import metrics
from services.features.by_item import Passed, of_items, pack, place
from services.features.cache import Cache
from services.features.guard import Guard
from shared.decoding import Record, decoded
from shared.errors import BadRecord
from shared.features.arena import VERSION, Arena
from shared.features.counters import Fold
from shared.features.events import columns, micros
from shared.features.plans import View
from shared.keys import key
from shared.messages import Behaviour

VIEW = "view"
"""The action that is no act."""
AHEAD = 60_000_000
"""Microseconds by which an event's time may be ahead of the broker's; a later one counts as that, or it would freeze its row."""

_decode = msgspec.json.Decoder(Behaviour).decode
Delivery = tuple[Record, Behaviour]


class Guards:
    """The guards of the users in memory, by row."""

    def __init__(self, capacity: int) -> None:
        self.rows: list[Guard] = [Guard()] * capacity

    def load(self, row: int, tail: bytes) -> None:
        """Take a user's guard in."""
        self.rows[row] = Guard.load(tail)

    def dump(self, row: int) -> bytes:
        """The guard as it is stored."""
        return self.rows[row].dump()


@dataclass(frozen=True, slots=True)
class Read:
    """A batch of ``behaviour``, decoded."""

    deliveries: list[Delivery]
    letters: list[tuple[str, str, Record]] = field(default_factory=list)
    """What nobody can use: reason, detail, record."""

    @property
    def names(self) -> list[str]:
        """The users whose rows are needed."""
        return [event.user_id for _, event in self.deliveries]


class Users:
    """The users' side of the service."""

    def __init__(self, view: View, client: Any, capacity: int, *, partitions: int, per_minute: float, usual: float = 1.0) -> None:
        self.guards = Guards(capacity)
        self.cache = Cache(view, client, Arena(view.plan, capacity), self.guards)
        self._fold = Fold(view.plan)
        self._partitions, self._per_minute, self._usual = partitions, per_minute, usual

    def decode(self, records: Sequence[Record]) -> Read:
        """Decode a batch; what cannot be used is set apart."""
        read = Read([])
        for record in records:
            try:
                event = decoded(_decode, record.value)
            except BadRecord as error:
                read.letters.append((error.code, error.reason, record))
                continue
            if place(event.user_id, self._partitions) != record.partition:
                read.letters.append(("misrouted", f"user {event.user_id} belongs to another partition", record))
                continue
            read.deliveries.append((record, event))
        return read

    def apply(self, read: Read) -> list[Passed]:
        """Count a batch whose users are all in memory; returns the records for ``behaviour-by-item`` with their partitions."""
        arena, counted = self.cache.arena, []
        rows = arena.rows(read.names)
        versions = dict(zip(rows.tolist(), arena.words.view(np.int64)[rows, VERSION].tolist(), strict=True))
        verdicts = {"count": 0, "robot": 0, "retry": 0, "too_fast": 0, "skipped": 0}
        for row, (record, event) in zip(rows.tolist(), read.deliveries, strict=True):
            time = min(micros(event.time), int(record.timestamp) * 1000 + AHEAD)
            verdict = self._verdict(row, record.offset, versions, event, time)
            verdicts[verdict] += 1
            if verdict in ("count", "robot"):
                versions[row] = record.offset + 1
                counted.append((row, record.partition, record.offset, time, verdict == "count", event))
        self._count(verdicts)
        return self._add(counted)

    def _verdict(self, row: int, offset: int, versions: dict[int, int], event: Behaviour, time: int) -> str:
        if offset < versions[row]:
            return "skipped"
        return self.guards.rows[row].judge(key(event.event_id), time, self._per_minute, event.action != VIEW, self._usual)

    def _add(self, counted: list[tuple[int, int, int, int, bool, Behaviour]]) -> list[Passed]:
        """Count events for their users, and pass on those of people."""
        if not counted:
            return []
        rows, sources, offsets, times, people = np.array([one[:5] for one in counted], np.int64).T
        events = columns([event for *_, event in counted], times.tolist())
        arena = self.cache.arena
        self._fold.apply(arena, rows, events)
        np.maximum.at(arena.words.view(np.int64)[:, VERSION], rows, offsets + 1)
        self.cache.change(rows)
        passed = people > 0
        return list(pack(sources[passed], offsets[passed], of_items(events, passed), self._partitions))

    @staticmethod
    def _count(verdicts: dict[str, int]) -> None:
        metrics.events.labels("user_activity").inc(verdicts["count"] + verdicts["robot"])
        metrics.skipped.labels("user_activity").inc(verdicts["skipped"])
        for reason in ("retry", "too_fast", "robot"):
            metrics.excluded.labels(reason).inc(verdicts[reason])
