"""Impressions wait in bounds, and whatever is not delivered is counted."""

import asyncio

import msgspec
import pytest

from services.ranking import metrics
from services.ranking.impressions import ImpressionLog
from shared.errors import KafkaUnavailable
from shared.messages import Impression, Inputs

MUCH = 1 << 20
"""Bytes for any of these."""


def shown(n: int) -> Impression:
    return Impression(
        request_id=f"r{n}", task="ranking", user_id="ann", time=1.0, bundle="b", inputs=Inputs(), items=("tea",), scores=b"\0" * 4
    )


class Broker:
    """Takes records; acknowledges when told."""

    def __init__(self) -> None:
        self.taken: list[asyncio.Future[object]] = []
        self.away, self.reached = False, asyncio.Event()

    async def send(self, key: bytes, value: bytes) -> asyncio.Future[object]:
        if self.away:
            raise KafkaUnavailable("away")
        self.reached.set()
        self.taken.append(asyncio.get_running_loop().create_future())
        return self.taken[-1]


def counted(result: str) -> float:
    return metrics.impressions.labels(result)._value.get()


async def test_what_does_not_fit_is_dropped_and_counted() -> None:
    log, before = ImpressionLog(Broker().send, 2, MUCH), counted("dropped")
    assert [log.put(shown(n)) is None for n in range(3)] == [False, False, True]
    assert counted("dropped") == before + 1
    assert log.waiting == 2


async def test_they_are_bounded_by_bytes_too() -> None:
    broker, size = Broker(), len(msgspec.msgpack.encode(shown(1)))
    log = ImpressionLog(broker.send, 9, 2 * size)
    delivering = asyncio.create_task(log.deliver())
    assert [log.put(shown(n)) is None for n in range(3)] == [False, False, True]
    await broker.reached.wait()
    broker.taken[0].set_result(object())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [log.put(shown(n)) is None for n in range(2)] == [False, True]
    delivering.cancel()


async def test_an_acknowledged_one_makes_room() -> None:
    broker = Broker()
    log, before = ImpressionLog(broker.send, 1, MUCH), counted("acknowledged")
    delivering = asyncio.create_task(log.deliver())
    settled = log.put(shown(1))
    await broker.reached.wait()
    assert not settled.done()
    broker.taken[0].set_result(object())
    assert await log.drained(1)
    assert counted("acknowledged") == before + 1
    assert log.put(shown(2)) is not None
    delivering.cancel()


async def test_a_refused_one_fails_and_is_counted() -> None:
    broker = Broker()
    log, before = ImpressionLog(broker.send, 5, MUCH), counted("failed")
    delivering = asyncio.create_task(log.deliver())
    settled = log.put(shown(1))
    await broker.reached.wait()
    broker.taken[0].set_exception(ValueError("refused"))
    with pytest.raises(KafkaUnavailable):
        await settled
    broker.away = True
    with pytest.raises(KafkaUnavailable):
        await log.put(shown(2))
    assert counted("failed") == before + 2
    delivering.cancel()


async def test_it_says_when_the_end_came_before_the_acknowledgement() -> None:
    log = ImpressionLog(Broker().send, 5, MUCH)
    log.put(shown(1))
    assert not await log.drained(0.01)
