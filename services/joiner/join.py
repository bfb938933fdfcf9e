"""One partition of the join: outcomes meet the impressions that they answer. A function of both logs, however they are read.

Reading decides, a step emits; what :meth:`Partition.safe` says right after a step may be committed once all it returned is
acknowledged.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from services.joiner.examples import corrected, listed, outcome
from services.joiner.paid import Paid
from services.joiner.records import Answered, Learn, Mark, Refuse, Safe, Shown
from services.joiner.rule import Rule
from services.joiner.waiting import Kind, Waiting
from shared import messages
from shared.keys import key
from shared.messages import Impression, Origin, Outcome


class Asker(msgspec.Struct, frozen=True):
    """What a list is sent by, of an impression; the arrays, nearly all of its bytes, are passed over."""

    user_id: str
    trace: str = ""


class Head(Asker, frozen=True, kw_only=True):
    """What decides what an outcome is."""

    request_id: str
    items: tuple[str, ...]


_asker = msgspec.msgpack.Decoder(Asker).decode
_head = msgspec.msgpack.Decoder(Head).decode
_whole = msgspec.msgpack.Decoder(Impression).decode


class Store(Protocol):
    """Where the impressions' bytes wait; see ``segments.Segments``."""

    def append(self, values: Sequence[bytes]) -> list[tuple[int, int]]: ...
    def read(self, place: tuple[int, int]) -> bytes: ...
    def release(self, position: int) -> None: ...


@dataclass(slots=True)
class Pending:
    """An outcome on its way: undecided while ``decision`` is ``None``."""

    answered: Answered
    decision: Learn | Refuse | bool | None = None
    """``True`` where nothing is to be sent: it is part of an example, a repeat, or was sent before a restart."""
    ordinal: int = -1
    """Of the impression that it answers."""


class Partition:
    """The state of one partition of ``impressions`` and ``behaviour``.

    Args:
        number: of the partition.
        rule: the times.
        store: an empty store for the impressions' bytes.
        begin: where both topics are read from, as it was committed; what lies before ``emitted`` is not emitted again.
    """

    def __init__(self, number: int, rule: Rule, store: Store, begin: Safe) -> None:
        self.number, self.rule, self.store, self.begin = number, rule, store, begin
        self.shown_next, self.answered_next = begin.impressions.offset, begin.behaviour.offset
        self.shown_time = self.answered_time = 0
        """Broker time before which everything in the topic has been read."""
        self.counts: Counter[str] = Counter()
        """What was neither emitted nor refused, by reason; the edge takes and clears it."""
        self.waiting = Waiting()
        self._next = 0  # ordinal of the first impression not yet emitted
        self._paid = Paid()
        self._inside: dict[int, list[Outcome]] = {}  # outcomes of impressions not yet emitted
        self._undecided: dict[int, list[Pending]] = {}  # by the request's key
        self._ordered: deque[Pending] = deque()  # in offset order, from the first that may still become a correction
        self._unknown: deque[Pending] = deque()  # too early for a correction: part of an example, or unknown once slack is over

    # reading

    def read_impressions(self, read: Sequence[Shown], next_offset: int, time: int) -> None:
        """Take a poll of impressions: those that can be used, the next offset, and the append time of the poll's last record."""
        for shown, place in zip(read, self.store.append([shown.raw for shown in read]), strict=True):
            self._admit(shown, place)
        self.shown_next = next_offset
        self.all_shown_before(time - self.rule.skew)

    def read_behaviour(self, read: Sequence[Answered], next_offset: int, time: int) -> None:
        """The same for behaviour: of a poll, what may be an outcome."""
        for answered in read:
            pending = Pending(answered)
            self._ordered.append(pending)
            request = key(answered.event.request_id or "")
            if not self._decide(pending, self.waiting.find(request)):
                self._undecided.setdefault(request, []).append(pending)
        self.answered_next = next_offset
        self.all_answered_before(time - self.rule.skew)

    def all_shown_before(self, time: int) -> None:
        """Every impression appended before this broker time has been read: how an idle topic moves on."""
        self.shown_time = max(self.shown_time, time)

    def all_answered_before(self, time: int) -> None:
        """The same for behaviour."""
        self.answered_time = max(self.answered_time, time)

    def due(self, now: int) -> bool:
        """Whether something would be due if both topics turned out to be read to their end at this broker time."""
        past, next_one = now - self.rule.skew, self._next
        return (
            (next_one < self.waiting.end and self.waiting.time(next_one) + self.rule.wait < past)
            or (bool(self._ordered) and self._ordered[0].answered.time < past)
            or (bool(self._unknown) and self._unknown[0].answered.time + self.rule.slack < past)
        )

    # deciding

    def _admit(self, shown: Shown, place: tuple[int, int]) -> None:
        one = shown.impression
        kind = Kind.FOREIGN if one.task != self.rule.task else Kind.DEGRADED if one.degraded else Kind.LEARNED
        request = key(one.request_id)
        ordinal = self.waiting.add(request, shown.offset, shown.time, place, kind)
        if kind is Kind.DEGRADED and shown.offset >= self.begin.impressions.emitted:
            self.counts["degraded"] += 1
        early = self._undecided.pop(request, None)
        if early and (left := [pending for pending in early if not self._decide(pending, (ordinal,))]):
            self._undecided[request] = left

    def _decide(self, pending: Pending, ordinals: Sequence[int]) -> bool:
        """Attribute an outcome to the first of these impressions that it answers; whether there is one."""
        offset, time, event, _ = pending.answered
        for ordinal in ordinals:
            if self.rule.answers(self.waiting.time(ordinal), time):
                raw = self.store.read(self.waiting.place(ordinal))
                head = _head(raw)
                if head.request_id == event.request_id:
                    pending.ordinal = ordinal
                    decision = self._attribute(pending.answered, ordinal, head, raw)
                    pending.decision = decision if offset >= self.begin.behaviour.emitted else True
                    return True
        return False

    def _attribute(self, answered: Answered, ordinal: int, head: Head, raw: bytes) -> Learn | Refuse | bool:
        offset, time, event, record = answered
        kind = self.waiting.kind(ordinal)
        if kind is not Kind.LEARNED:
            return self._count(offset, f"answers_{kind.name.lower()}")
        if head.user_id != event.user_id:
            return Refuse("other_user", f"request {event.request_id} was another user's", record)
        if event.item_id not in head.items:
            return Refuse("not_shown", f"item {event.item_id} was not shown by request {event.request_id}", record)
        index = head.items.index(event.item_id)
        label = index * len(self.rule.labels) + self.rule.labels.index(event.action)
        if not self._paid.pay(ordinal, offset, label):
            return self._count(offset, "repeated")
        shown = self.waiting.time(ordinal)
        origin = Origin(messages.Behaviour.topic, self.number, offset)
        found = outcome(event, index, origin, time - shown)
        if self.rule.in_time(shown, time):
            if ordinal >= self._next:
                self._inside.setdefault(ordinal, []).append(found)
                return True
            if self.waiting.offset(ordinal) < self.begin.impressions.emitted:
                return True
            self.counts["beyond_skew"] += 1  # it became visible later than skew allows; not lost, but not as the log says
        value = corrected(_whole(raw), origin, self._origin(ordinal), found)
        return Learn("correction", head.user_id, value, time, head.trace)

    def _count(self, offset: int, reason: str) -> bool:
        if offset >= self.begin.behaviour.emitted:
            self.counts[reason] += 1
        return True

    def _origin(self, ordinal: int) -> Origin:
        return Origin(messages.Impression.topic, self.number, self.waiting.offset(ordinal))

    # emitting

    def step(self) -> list[Learn | Refuse]:
        """What is due now: examples in their impressions' order; corrections in their outcomes', each after its example."""
        return [*self._due_lists(), *self._due_outcomes()]

    def _due_lists(self) -> list[Learn]:
        due, waiting = [], self.waiting
        while self._next < waiting.end and waiting.time(self._next) + self.rule.wait < self.answered_time:
            inside = self._inside.pop(self._next, [])
            emitted_before = waiting.offset(self._next) < self.begin.impressions.emitted
            if waiting.kind(self._next) is Kind.LEARNED and not emitted_before:
                raw = self.store.read(waiting.place(self._next))
                value, asker = listed(raw, self._origin(self._next), inside), _asker(raw)
                due.append(Learn("list", asker.user_id, value, waiting.time(self._next) + self.rule.wait, asker.trace))
            self._next += 1
        return due

    def _due_outcomes(self) -> list[Learn | Refuse]:
        due: list[Learn | Refuse] = []
        while self._ordered and self._is_due(self._ordered[0]):
            pending = self._ordered.popleft()
            if pending.decision is None:  # an impression that comes now is a later one, so that this is no correction
                self._unknown.append(pending)
            elif not isinstance(pending.decision, bool):
                due.append(pending.decision)
        while self._unknown and (self._unknown[0].decision is not None or self._is_over(self._unknown[0])):
            pending = self._unknown.popleft()
            if pending.decision is None:
                pending.decision = self._give_up(pending)
            if not isinstance(pending.decision, bool):
                due.append(pending.decision)
        return due

    def _is_due(self, pending: Pending) -> bool:
        if isinstance(pending.decision, Learn):
            return pending.ordinal < self._next
        return pending.decision is not None or pending.answered.time < self.shown_time

    def _is_over(self, pending: Pending) -> bool:
        return pending.answered.time + self.rule.slack < self.shown_time

    def _give_up(self, pending: Pending) -> Refuse | bool:
        offset, _, event, record = pending.answered
        request = key(event.request_id or "")
        left = [other for other in self._undecided.pop(request, []) if other is not pending]
        if left:
            self._undecided[request] = left
        if offset < self.begin.behaviour.emitted:
            return True
        return Refuse("unknown", f"no impression of request {event.request_id} within the attribution window", record)

    # committing

    def safe(self) -> Safe:
        """What may be committed once all that steps returned is acknowledged; lets go what can no longer be answered."""
        self._let_go()
        emitted = self._first_unfinished()
        answered_from = min(emitted, self._paid.first_offset(self.waiting.first, self.answered_next))
        shown_from = self.waiting.offset(self.waiting.first) if len(self.waiting) else self.shown_next
        emitted_to = self.waiting.offset(self._next) if self._next < self.waiting.end else self.shown_next
        begin = self.begin
        return Safe(
            Mark(shown_from, max(emitted_to, begin.impressions.emitted)),
            Mark(answered_from, max(emitted, begin.behaviour.emitted)),
        )

    def _unfinished(self) -> list[Pending]:
        return [queue[0] for queue in (self._ordered, self._unknown) if queue]

    def _first_unfinished(self) -> int:
        return min((pending.answered.offset for pending in self._unfinished()), default=self.answered_next)

    def _let_go(self) -> None:
        heads = [pending.answered.time for pending in self._unfinished()]
        horizon = min([self.answered_time, *heads]) - self.rule.skew
        before = self.waiting.first
        while self.waiting.first < self._next and self.waiting.time(self.waiting.first) + self.rule.window < horizon:
            self._paid.forget(self.waiting.first)
            self.waiting.drop_first()
        if self.waiting.first > before and len(self.waiting):
            self.store.release(self.waiting.place(self.waiting.first)[0])
