"""What is asked of ranking and what it answers, as the HTTP doors take and give it. Unknown fields are refused."""

from collections import Counter
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from shared.decoding import fault
from shared.errors import BadInput, NotJson
from shared.messages import Id, Instant, Money

LARGEST_LIST = 1_000


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every question says."""

    user_id: Id
    session: Id | None = None
    at: Instant | None = None
    """The moment that the answer is for: replays of the past only (FRESHET_CLOCK=event)."""


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An item that may be shown."""

    item_id: Id
    price: Money | None = None
    """For one unit; the catalogue's where it is not given."""
    context: dict[str, Annotated[float, Meta(ge=-1e12, le=1e12)]] = {}
    """The numbers that the task declares, such as a promotion; 0 where not given."""
    log_odds: Annotated[float, Meta(ge=-100, le=100)] = 0.0
    """Correction for the sampling of the candidates, added to the logit."""


class RankRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /rank`` and ``POST /explain``: in which order?"""

    candidates: Annotated[list[Candidate], Meta(min_length=1, max_length=LARGEST_LIST)]
    limit: Annotated[int, Meta(ge=1)] | None = None
    """How many are shown: the best; all where not given."""
    reasons: bool = False
    """Say with each item what each group of inputs added to its score."""


class RecommendRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``POST /recommend``: which of all items?"""

    limit: Annotated[int, Meta(ge=1, le=200)] = 20


class Ranked(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item in its place."""

    item_id: str
    score: float
    """Probability of the task's first label."""
    position: int
    """From 0."""
    contributions: dict[str, float] | None = None
    """What each group of inputs added to the logit."""
    values: dict[str, float] | None = None
    """The dense features that it was scored with."""


class Answer(msgspec.Struct, frozen=True):
    """The ranking, and which model made it."""

    request_id: str
    bundle: str
    window: int
    """The last window that changed the bundle."""
    degraded: bool
    """Made without the feature store: from ids, texts and context alone."""
    items: list[Ranked]


R = TypeVar("R", RankRequest, RecommendRequest)

_rank = msgspec.json.Decoder(RankRequest)
_recommend = msgspec.json.Decoder(RecommendRequest)


def parse_rank(body: bytes, context: tuple[str, ...]) -> RankRequest:
    """A question about these candidates.

    Args:
        body: JSON.
        context: the names that the task declares.

    Raises:
        NotJson: it is not JSON.
        BadInput: names the field.
    """
    request = _parse(_rank, body)
    declared = frozenset(context)
    for i, candidate in enumerate(request.candidates):
        if not declared.issuperset(candidate.context):
            name = sorted(candidate.context.keys() - declared)[0]
            raise BadInput(f"The task declares the context {', '.join(context)}.", field=f"candidates[{i}].context.{name}")
    ids = [candidate.item_id for candidate in request.candidates]
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise BadInput(f"The item {twice!r} is there twice: send each candidate once.", field="candidates")
    return request


def parse_recommend(body: bytes) -> RecommendRequest:
    """A question about all items.

    Raises:
        NotJson: it is not JSON.
        BadInput: names the field.
    """
    return _parse(_recommend, body)


def _parse(decoder: msgspec.json.Decoder[R], body: bytes) -> R:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        found = fault(error)
        raise BadInput(f"{found.what}.", field=found.field) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJson(f"The body is not JSON in UTF-8 ({error}).") from None
