"""A lost connection under uvloop, told to aiokafka as it expects it; a connection that was refused, and why.

Where a closed transport is written to, uvloop raises RuntimeError. aiokafka 0.14 takes only OSError for a lost connection (its
issue 1038): the task that follows the cluster's metadata would end, and the client would never find the broker again. Importing
this module is what mends it, for every client of the process.
"""

from typing import Any, ClassVar

from aiokafka import conn
from aiokafka.errors import KafkaConnectionError, KafkaError


class Connection(conn.AIOKafkaConnection):  # type: ignore[misc]
    """aiokafka's connection, whose lost peer is a Kafka error under every event loop."""

    refused: ClassVar[Exception | None] = None
    """Why the process's last attempt to connect failed. aiokafka's own error names the addresses alone."""

    async def connect(self) -> Any:
        """As the parent's."""
        Connection.refused = None
        try:
            return await super().connect()
        except (OSError, KafkaError) as error:
            Connection.refused = error
            raise

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """As the parent's.

        Raises:
            KafkaConnectionError: the connection is lost.
        """
        try:
            return super().send(request, expect_response)
        except RuntimeError as error:
            self.close(reason=conn.CloseReason.CONNECTION_BROKEN, exc=error)
            raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {error}") from error


conn.AIOKafkaConnection = Connection
