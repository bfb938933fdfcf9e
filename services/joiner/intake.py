"""From records to what the join takes: decode, check, and say of what cannot be used why."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from services.joiner.records import Answered, Refuse, Shown
from shared.decoding import Record, decoded
from shared.errors import BadRecord
from shared.impressions import misfit
from shared.kafka import partition_for
from shared.messages import Behaviour, Impression

_behaviour = msgspec.json.Decoder(Behaviour).decode
_impression = msgspec.msgpack.Decoder(Impression).decode


class Intake(NamedTuple):
    """A poll of ``impressions``, sorted out."""

    usable: list[Shown]
    refused: list[Refuse]


class OutcomeIntake(NamedTuple):
    """A poll of ``behaviour``, sorted out; what is no outcome is in neither list."""

    usable: list[Answered]
    refused: list[Refuse]


def impressions(records: Sequence[Record], partitions: int) -> Intake:
    """The impressions of one partition's records; ``partitions`` is the topic's count."""
    sorted_out = Intake([], [])
    for record in records:
        try:
            one = decoded(_impression, record.value)
            if not one.degraded and (wrong := misfit(one)):
                raise BadRecord("undecodable", wrong)
        except BadRecord as error:
            sorted_out.refused.append(Refuse(error.code, f"not an impression: {error}", record))
            continue
        if strayed := _strayed(one.user_id, record, partitions):
            sorted_out.refused.append(strayed)
        else:
            sorted_out.usable.append(Shown(record.offset, int(record.timestamp), one, record.value or b""))
    return sorted_out


def outcomes(records: Sequence[Record], partitions: int, labels: frozenset[str]) -> OutcomeIntake:
    """What may be an outcome among one partition's records: an event with a request id whose action is a label."""
    sorted_out = OutcomeIntake([], [])
    for record in records:
        try:
            event = decoded(_behaviour, record.value)
        except BadRecord as error:
            sorted_out.refused.append(Refuse(error.code, f"not a behaviour event: {error}", record))
            continue
        if event.request_id is None or event.action not in labels:
            continue
        if strayed := _strayed(event.user_id, record, partitions):
            sorted_out.refused.append(strayed)
        else:
            sorted_out.usable.append(Answered(record.offset, int(record.timestamp), event, record))
    return sorted_out


def _strayed(user: str, record: Record, partitions: int) -> Refuse | None:
    home = partition_for(user, partitions)
    if home == record.partition:
        return None
    return Refuse("misrouted", f"user {user} belongs on partition {home}; produce with murmur2 of the key", record)
