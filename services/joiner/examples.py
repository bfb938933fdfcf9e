"""What the joiner makes: a list (an impression with its outcomes) or a correction (one later outcome, of one shown item)."""

from typing import cast

import msgspec

from shared.impressions import FLOAT
from shared.messages import Behaviour, Example, Impression, Origin, Outcome

_encode = msgspec.msgpack.Encoder().encode


def outcome(event: Behaviour, index: int, origin: Origin, delay_ms: int) -> Outcome:
    """What came of the item at ``index``, with the delay by the broker's clock (0 where it was appended before its impression)."""
    return Outcome(index, event.action, origin.partition, origin.offset, event.time.timestamp(), max(0, delay_ms) / 1000)


def listed(raw: bytes, origin: Origin, outcomes: list[Outcome]) -> bytes:
    """The example of an impression, encoded; the impression's own bytes go in as they are, with fields that we do not know yet."""
    as_logged = cast(Impression, msgspec.Raw(raw))
    inside = tuple(sorted(outcomes, key=lambda one: one.offset))
    return _encode(Example(kind="list", origin=origin, impression=as_logged, outcomes=inside))


def corrected(impression: Impression, origin: Origin, corrects: Origin, late: Outcome) -> bytes:
    """The example of an outcome that came after its impression's, encoded; ``late.index`` is the position as shown."""
    alone = msgspec.structs.replace(late, index=0)
    one = cut(impression, late.index)
    return _encode(
        Example(kind="correction", origin=origin, impression=one, outcomes=(alone,), corrects=corrects, position=late.index)
    )


def cut(impression: Impression, index: int) -> Impression:
    """The impression of the one item, everything else unchanged."""

    def row(values: bytes, width: int = 1) -> bytes:
        size = FLOAT * width
        return values[index * size : (index + 1) * size]

    return msgspec.structs.replace(
        impression,
        items=(impression.items[index],),
        scores=row(impression.scores),
        propensities=row(impression.propensities),
        log_odds=row(impression.log_odds),
        candidate_features=row(impression.candidate_features, len(impression.inputs.candidate)),
    )
