"""What goes into a partition of the join and what comes out."""

from typing import NamedTuple

from shared.decoding import Record
from shared.messages import Behaviour, Impression


class Shown(NamedTuple):
    """A record of ``impressions``: offset, broker's append time in ms, decoded, and as it was."""

    offset: int
    time: int
    impression: Impression
    raw: bytes


class Answered(NamedTuple):
    """A record of ``behaviour`` that may be an outcome; ``record`` is what a dead letter keeps."""

    offset: int
    time: int
    event: Behaviour
    record: Record


class Learn(NamedTuple):
    """An example to send, of ``kind`` ``list`` or ``correction``."""

    kind: str
    key: str
    """The user's id."""
    value: bytes
    complete: int
    """Broker time in ms from which it could be said: its wait was over, or its outcome appended."""
    trace: str = ""
    """Of the ranking."""


class Refuse(NamedTuple):
    """A record for the dead letters: undecodable, misrouted, or an outcome that no impression explains."""

    reason: str
    detail: str
    record: Record


class Mark(NamedTuple):
    """What to commit for a topic: where a restart reads from, and the first record whose emission is not acknowledged yet."""

    offset: int
    emitted: int


class Safe(NamedTuple):
    """What a restart may begin with."""

    impressions: Mark
    behaviour: Mark
