"""Dead letters keep a record whole and can send it again."""

from typing import NamedTuple

import msgspec
from prometheus_client import REGISTRY

from shared.dead_letters import DeadLetters, decode, distinct, letter, replay
from shared.messages import Origin


class Read(NamedTuple):
    topic: str = "behaviour"
    partition: int = 3
    offset: int = 41
    key: bytes | None = b"ana"
    value: bytes | None = b"\xff not JSON"
    timestamp: float = 1_700_000_000_123


class Broker:
    """A producer that acknowledges at once and remembers."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bytes | None]] = []

    async def send_and_wait(self, topic: str, value: bytes, key: bytes | None, partition: int | None) -> None:
        self.sent.append((topic, value, key))


def test_a_letter_keeps_bytes_that_are_no_text_through_json() -> None:
    sent = letter("joiner", "undecodable", "byte 0xff", Read())
    assert decode(msgspec.json.encode(sent)) == sent
    assert (sent.origin, sent.key, sent.value) == (Origin("behaviour", 3, 41), b"ana", b"\xff not JSON")
    assert sent.time.isoformat() == "2023-11-14T22:13:20.123000+00:00"


def test_a_second_delivery_makes_the_same_letter() -> None:
    assert letter("joiner", "unknown", "", Read()) == letter("joiner", "unknown", "", Read())


def test_a_replay_is_placed_by_its_key_and_without_one_where_it_was() -> None:
    assert replay(letter("joiner", "misrouted", "", Read())) == ("behaviour", b"ana", b"\xff not JSON", None)
    assert replay(letter("joiner", "undecodable", "", Read(key=None))) == ("behaviour", None, b"\xff not JSON", 3)


def test_two_deliveries_of_one_origin_count_once_but_two_services_twice() -> None:
    twice = [letter("joiner", "unknown", "", Read()) for _ in range(2)]
    other = letter("features", "undecodable", "", Read())
    assert list(distinct([*twice, other, letter("joiner", "unknown", "", Read(offset=42))])) == [
        twice[0],
        other,
        letter("joiner", "unknown", "", Read(offset=42)),
    ]


async def test_what_is_sent_is_counted_by_service_and_reason() -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("freshet_dead_letters_total", {"service": "test", "reason": "misrouted"}) or 0.0

    broker, before = Broker(), count()
    await DeadLetters(broker, "test").send("misrouted", "belongs to partition 5", Read())
    assert count() == before + 1
    [(topic, value, key)] = broker.sent
    assert (topic, key) == ("dead-letters", b"ana")
    assert decode(value).detail == "belongs to partition 5"
