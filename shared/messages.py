"""What travels on the topics: one frozen Struct for each, which names its topic.

Public topics (``behaviour``, ``items``, ``dead-letters``, ``bundles``) carry JSON, internal ones msgpack. Readers ignore fields
they do not know and fields are only ever added, with a default, so that services of two versions run side by side. The HTTP
doors refuse unknown fields instead (see the collector).

Times are event time in seconds since 1970 UTC (float64) on internal topics, and RFC 3339 on public ones. Arrays of numbers
travel as little-endian bytes, C order, with the dtype and shape that the field's docstring gives.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

Id = Annotated[str, Meta(min_length=1, max_length=256)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Instant = Annotated[datetime, Meta(tz=True)]
Money = Annotated[float, Meta(ge=0, le=1e12)]


REMEMBERED_EVENTS, REMEMBERED_S = 256, 600
"""An event that is sent again is recognised within its user's last so many events, and so many seconds of event time."""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of everything on a topic."""

    topic: ClassVar[str]


class Behaviour(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What a shopper did to an item. Topic ``behaviour``, key ``user_id``.

    The collector stamps the item's ``category``, ``brand`` and ``price``, so that nobody downstream has to look them up at a moment
    that the log does not fix.
    """

    topic: ClassVar[str] = "behaviour"

    event_id: Id
    """The client's own id: the same id sent again counts once."""
    user_id: Id
    """Any stable subject: a customer, a household, a device."""
    item_id: Id
    action: Name
    """``view``, ``click``, ``favourite``, ``cart``, ``purchase``, or the shop's own."""
    time: Instant
    session: Id | None = None
    request_id: Id | None = None
    """The ranking that this answers, where there was one."""
    price: Money | None = None
    """For one unit, in the shop's currency."""
    quantity: Annotated[float, Meta(gt=0, le=1e9)] = 1.0
    category: Name | None = None
    brand: Name | None = None
    query: Annotated[str, Meta(max_length=1024)] | None = None
    context: dict[str, float | str] = {}


class Item(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the catalogue; the newest wins. Topic ``items`` (compacted), key ``item_id``."""

    topic: ClassVar[str] = "items"

    item_id: Id
    time: Instant
    title: Annotated[str, Meta(max_length=1024)] = ""
    """The text whose vector starts the item's embedding; two items with one text share one vector."""
    category: Name | None = None
    brand: Name | None = None
    price: Money | None = None
    stock: Annotated[float, Meta(ge=0)] | None = None
    """Units on hand; ``None`` where the shop does not say, which counts as in stock."""
    boost: Annotated[float, Meta(gt=0, le=100)] = 1.0
    """The business's factor on the score of a recommendation (margin, campaign); it never touches learning."""


class Origin(msgspec.Struct, frozen=True, array_like=True, order=True):
    """The record that something was made from: what deduplication and replays are keyed by."""

    topic: str
    partition: int
    offset: int


class Inputs(msgspec.Struct, frozen=True):
    """The names of the dense features that a model reads, in the order of its columns."""

    user: tuple[str, ...] = ()
    """One value a request. Count: U."""
    candidate: tuple[str, ...] = ()
    """One value a candidate: the item's, the pair's, and the request's context as ``context.<name>``. Count: C."""


class Impression(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What was shown, with the very features it was scored with. Topic ``impressions``, key ``user_id``; n items as shown."""

    topic: ClassVar[str] = "impressions"

    request_id: str
    task: str
    user_id: str
    time: float
    bundle: str
    """Version of the bundle that scored it."""
    inputs: Inputs
    items: tuple[str, ...]
    scores: bytes
    """float32 (n,): probability of the task's first label as served."""
    propensities: bytes = b""
    """float32 (n,): probability that the item was shown at its position; empty where the order is deterministic (all 1).

    Under ``swap`` over all orders that could have been drawn, whatever the other items; under ``plackett-luce`` that of its choice
    at its step given the items before it, so that the product of the first k is the probability of the first k together.
    """
    explored: str = ""
    """How the order was drawn: ``swap`` or ``plackett-luce``; empty where it is deterministic."""
    log_odds: bytes = b""
    """float32 (n,): log-odds correction of the candidates' sampling, added to the logit; empty where all are 0."""
    user_features: bytes = b""
    """float32 (U,)."""
    candidate_features: bytes = b""
    """float32 (n, C)."""
    history: bytes = b""
    """uint64 (h,): keys of the items that the user deals with most, whose texts and vectors make the user's profile."""
    history_weights: bytes = b""
    """float32 (h,): their decayed counts."""
    degraded: bool = False
    """Scored without the feature store: never learned."""
    trace: str = ""
    """W3C ``traceparent`` of the ranking; empty where nobody follows it."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of one shown item."""

    index: int
    """The item's position in the impression's ``items``."""
    action: str
    partition: int
    offset: int
    """Where the outcome stands on ``behaviour``."""
    time: float
    delay: float
    """Seconds between the impression and the outcome, by the broker's clock."""


class Example(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What a model learns from. Topic ``examples.<task>``, key ``user_id``.

    ``kind="list"``: an impression and the outcomes inside the short wait; its origin is the impression. ``kind="correction"``: one
    later outcome; its origin is that outcome, ``corrects`` is the list's origin, and ``impression`` is cut to the one item.
    """

    topic: ClassVar[str] = "examples"

    kind: Literal["list", "correction"]
    origin: Origin
    impression: Impression
    outcomes: tuple[Outcome, ...] = ()
    corrects: Origin | None = None
    position: int = 0
    """Position, as shown, of the impression's first item: 0 in a list, the one item's in a correction."""


class Turn(msgspec.Struct, frozen=True, omit_defaults=True):
    """What changes in the race of configurations with a window, before it is tested: first who leaves, then who is promoted."""

    leaves: tuple[str, ...] = ()
    """Challengers that learn no more."""
    promotes: str = ""
    """The challenger that is champion from this window on."""
    enters: dict[str, str] = {}
    """New challengers' names → their settings, as the JSON of ``LearningSettings``; each begins as the champion's copy."""


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of a window is not learned because the stream is strange."""

    skips: str = ""
    """Why all of it is skipped: ``paused``, ``loss``, ``positives``, or the input that stands still; empty: it is learned."""
    suspects: tuple[str, ...] = ()
    """Items that bots seem to push: no label of theirs counts that comes of a user younger than a day."""


class WindowPlan(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What the updater learns next, written before it is learned. Topic ``windows.<task>``, one partition.

    A plan that follows one of a higher epoch is void: its writer had been replaced.
    """

    topic: ClassVar[str] = "windows"

    task: str
    window: int
    """Counts from 1; the base bundle is window 0."""
    epoch: int
    """Which life of the updater wrote it; grows with every start."""
    ranges: dict[str, tuple[int, int]]
    """Partition of ``examples.<task>`` → (first offset, next offset)."""
    catalogues: tuple[str, ...] = ()
    """Storage keys of the catalogue files (ids, attributes, text vectors) that join with this window."""
    planned_at: float = 0.0
    without: bool = False
    """Skipped: by a restore that left this window out, or as the verdict says."""
    verdict: Verdict = Verdict()
    restarts: str = ""
    """The bundle whose checkpoint learning went back to (a restore); empty: it goes on from the window before."""
    race: Turn | None = None
    """Also done where the window itself is left out."""


class BundleAnnouncement(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A bundle is ready to be fetched. Topic ``bundles``, one partition."""

    topic: ClassVar[str] = "bundles"

    task: str
    version: str
    parent: str | None
    manifest: str
    """Storage key of its manifest."""
    published_at: float


class DeadLetter(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A record that nobody could use, kept whole. Topic ``dead-letters``; at least once, so count distinct origins."""

    topic: ClassVar[str] = "dead-letters"

    service: str
    reason: str
    """A short code that is counted: ``undecodable``, ``misrouted``, ``unknown``, ``not_shown``, ``other_user``, ..."""
    detail: str
    origin: Origin
    key: bytes
    value: bytes
    time: Instant
