"""How much may wait in memory: what keeps the collector small while Kafka is slow or away."""

from shared.errors import Unavailable


class Overloaded(Unavailable):
    """Too much is in flight already; the same request may be sent again."""


class Budget:
    """Counts bytes of requests from their arrival until Kafka has answered for them."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0

    def take(self, size: int) -> None:
        """Count these bytes.

        Raises:
            Overloaded: they do not fit; nothing was counted.
        """
        if self.held + size > self.limit:
            raise Overloaded("Too much waits for Kafka. Nothing of this request was sent: send it again, whole, in a second.")
        self.held += size

    def give(self, size: int) -> None:
        """These bytes are no longer held."""
        self.held -= size
