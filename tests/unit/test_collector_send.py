"""An answer means that Kafka has everything; whatever happens, memory is given back exactly when nothing waits any more."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from services.collector.budget import Budget, Overloaded
from services.collector.send import Acknowledgement, Place, Record, Sender
from shared.errors import KafkaUnavailable


class Stands(NamedTuple):
    partition: int
    offset: int


class Refused(Exception):
    """What this broker will not take a record with."""


class Broker:
    """A producer whose records are acknowledged when the test says so."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.waiting: list[asyncio.Future[Place]] = []

    async def send(self, topic: str, value: bytes, key: bytes) -> Acknowledgement:
        self.values.append(value)
        self.waiting.append(asyncio.get_running_loop().create_future())
        return self.waiting[-1]

    def acknowledge(self, *which: int) -> None:
        for n in which or range(len(self.waiting)):
            if not self.waiting[n].done():
                self.waiting[n].set_result(Stands(n % 2, 100 + n))


class Released:
    """Counts how often memory was given back."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


RECORDS = [Record(b"ana", b"1"), Record(b"bo", b"2"), Record(b"ana", b"3")]


@pytest.fixture
def broker() -> Broker:
    return Broker()


async def _turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_answers_after_the_last_acknowledgement_in_the_order_sent(broker: Broker) -> None:
    released, sender = Released(), Sender(broker, 5, Refused)
    answer = asyncio.create_task(sender.send("behaviour", RECORDS, released))
    await _turn()
    broker.acknowledge(2, 0)
    await _turn()
    assert not answer.done()
    assert released.times == 0
    broker.acknowledge(1)
    assert await answer == [Stands(0, 100), Stands(1, 101), Stands(0, 102)]
    assert (broker.values, released.times, sender.overdue) == ([b"1", b"2", b"3"], 1, 0)


async def test_nothing_to_send_is_answered_at_once(broker: Broker) -> None:
    released = Released()
    assert await Sender(broker, 5, Refused).send("behaviour", [], released) == []
    assert released.times == 1


async def test_without_an_acknowledgement_in_time_it_says_so_and_keeps_the_memory_counted(broker: Broker) -> None:
    released, sender = Released(), Sender(broker, 0.01, Refused)
    with pytest.raises(KafkaUnavailable, match=r"within 0.01 s. Send the whole request again"):
        await sender.send("behaviour", RECORDS, released)
    assert (released.times, sender.overdue) == (0, 1)
    broker.acknowledge()
    await _turn()
    assert (released.times, sender.overdue) == (1, 0)


async def test_while_an_answer_is_overdue_nothing_more_is_queued(broker: Broker) -> None:
    sender, second = Sender(broker, 0.01, Refused), Released()
    with pytest.raises(KafkaUnavailable):
        await sender.send("behaviour", RECORDS, Released())
    with pytest.raises(KafkaUnavailable, match=r"Kafka is away\. Nothing of this request was sent"):
        await sender.send("behaviour", RECORDS, second)
    assert (len(broker.values), second.times) == (3, 1)
    broker.acknowledge()
    await _turn()
    again = asyncio.create_task(sender.send("behaviour", RECORDS, Released()))
    await _turn()
    broker.acknowledge()
    assert len(await again) == 3


@pytest.mark.parametrize("others", [(), (0, 2)])
async def test_a_refused_record_breaks_the_producer_and_still_gives_the_memory_back(broker: Broker, others: Sequence[int]) -> None:
    released, sender = Released(), Sender(broker, 5, Refused)
    answer = asyncio.create_task(sender.send("behaviour", RECORDS, released))
    await _turn()
    for n in others:
        broker.acknowledge(n)
    for future in broker.waiting:
        if not future.done():
            future.set_exception(Refused("out of order"))
    with pytest.raises(KafkaUnavailable, match="out of order"):
        await answer
    await _turn()
    assert (released.times, sender.overdue) == (1, 0)
    assert isinstance(sender.broken, Refused)
    with pytest.raises(KafkaUnavailable, match="Nothing of this request was sent"):
        await sender.send("behaviour", RECORDS, Released())


async def test_a_caller_that_goes_away_leaves_its_records_counted_until_they_arrived(broker: Broker) -> None:
    released, sender = Released(), Sender(broker, 5, Refused)
    answer = asyncio.create_task(sender.send("behaviour", RECORDS, released))
    await _turn()
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    assert released.times == 0
    broker.acknowledge()
    await _turn()
    assert released.times == 1


def test_a_budget_that_is_spent_refuses_without_counting() -> None:
    budget = Budget(100)
    budget.take(60)
    with pytest.raises(Overloaded, match="send it again"):
        budget.take(41)
    budget.take(40)
    budget.give(60)
    assert budget.held == 40
