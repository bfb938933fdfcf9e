"""A connection that is lost under uvloop is a Kafka error, which clients repair; anything else would end their background tasks."""

import asyncio

import pytest
import uvloop
from aiokafka import conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

import shared.kafka  # noqa: F401 (what is tested)


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
