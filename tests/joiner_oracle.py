"""What the joiner must say of two logs, written without any of its code: slow, whole, and from the rule's words."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from shared.messages import Behaviour, Example, Impression
from shared.origins import Origins

Value = TypeVar("Value", Impression, Behaviour)


class Logged(NamedTuple, Generic[Value]):
    """A record of one partition of a log: its offset, the broker's append time in ms, and what it says."""

    offset: int
    time: int
    value: Value


class Said(NamedTuple):
    """All that the joiner says of a partition."""

    examples: Counter[tuple[Hashable, ...]]
    """(kind, origin offset, offset it corrects or None, items, outcomes)"""
    refused: dict[int, str]
    """Offset of an outcome → why no impression explains it."""


def expected(
    shown: Sequence[Logged[Impression]],
    answered: Sequence[Logged[Behaviour]],
    *,
    labels: Sequence[str],
    wait: int,
    window: int,
    slack: int,
) -> Said:
    """The rule, read aloud."""
    paid: set[tuple[int, str, str]] = set()
    inside: dict[int, list[tuple[int, str, int]]] = {impression.offset: [] for impression in shown}
    said = Said(Counter(), {})
    for outcome in answered:
        event = outcome.value
        if event.request_id is None or event.action not in labels:
            continue
        covering = [
            impression
            for impression in shown
            if impression.value.request_id == event.request_id
            and impression.time <= outcome.time + slack
            and outcome.time <= impression.time + window
        ]
        if not covering:
            said.refused[outcome.offset] = "unknown"
            continue
        impression = covering[0]
        if impression.value.degraded or impression.value.task != "ranking":
            continue
        if impression.value.user_id != event.user_id:
            said.refused[outcome.offset] = "other_user"
            continue
        if event.item_id not in impression.value.items:
            said.refused[outcome.offset] = "not_shown"
            continue
        label = (impression.offset, event.item_id, event.action)
        if label in paid:
            continue
        paid.add(label)
        index = impression.value.items.index(event.item_id)
        if outcome.time <= impression.time + wait:
            inside[impression.offset].append((index, event.action, outcome.offset))
        else:
            late = ((0, event.action, outcome.offset),)
            said.examples["correction", outcome.offset, impression.offset, (event.item_id,), late] += 1
    for impression in shown:
        if not impression.value.degraded and impression.value.task == "ranking":
            outcomes = tuple(sorted(inside[impression.offset], key=lambda one: one[2]))
            said.examples["list", impression.offset, None, impression.value.items, outcomes] += 1
    return said


def learned(emitted: Iterable[bytes]) -> Counter[tuple[Hashable, ...]]:
    """What a reader of ``examples.<task>`` keeps of one partition, in the shape of :attr:`Said.examples`."""
    seen, kept = Origins(), Counter[tuple[Hashable, ...]]()
    for value in emitted:
        example = msgspec.msgpack.decode(value, type=Example)
        if seen.is_new(example.origin):
            outcomes = tuple((one.index, one.action, one.offset) for one in example.outcomes)
            corrects = example.corrects.offset if example.corrects else None
            kept[example.kind, example.origin.offset, corrects, example.impression.items, outcomes] += 1
    return kept
