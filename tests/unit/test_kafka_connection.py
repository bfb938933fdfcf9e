"""A lost connection is a Kafka error under uvloop too, which clients repair; a Kafka that is away is waited for."""

import asyncio

import pytest
import structlog
import uvloop
from aiokafka import conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from shared.errors import KafkaUnavailable
from shared.kafka import clients, until_kafka_answers


def test_writing_to_a_closed_transport_is_a_lost_connection() -> None:
    async def write_to_it() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = conn.AIOKafkaConnection("127.0.0.1", port)
        connection._versions = {3: (0, 0)}
        connection._reader, connection._writer = await asyncio.open_connection("127.0.0.1", port)
        connection._read_task = asyncio.ensure_future(asyncio.sleep(0))
        connection._writer.transport.abort()
        await asyncio.sleep(0.05)
        try:
            connection.send(MetadataRequest([]))
        finally:
            server.close()

    with pytest.raises(KafkaConnectionError), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(write_to_it())


async def test_a_kafka_that_is_away_is_asked_until_it_answers_and_the_log_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "RETRY_SECONDS", 0.0)
    away = [KafkaUnavailable("once"), KafkaUnavailable("twice")]

    async def attempt() -> str:
        if away:
            raise away.pop(0)
        return "answered"

    with structlog.testing.capture_logs() as lines:
        assert await until_kafka_answers("collector", attempt) == "answered"
    assert [(line["event"], line["service"], line["detail"]) for line in lines] == [
        ("kafka_away", "collector", "once"),
        ("kafka_away", "collector", "twice"),
    ]
