"""What the doors accept: the messages of the topics, without unknown fields, and with a time that may be left out."""

from datetime import UTC, datetime

from shared.messages import Behaviour, Instant, Item

NOW = datetime(9999, 12, 31, tzinfo=UTC)
"""Stands for a time that was left out until :mod:`services.collector.stamp` sets it; compared by identity."""


class Event(Behaviour, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A :class:`shared.messages.Behaviour` as a shop sends it; encodes as one."""

    time: Instant = NOW


class Line(Item, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A line of the catalogue, a :class:`shared.messages.Item`, as a shop sends it; encodes as one."""

    time: Instant = NOW
