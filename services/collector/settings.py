"""The collector's own settings."""

from pydantic import Field, SecretStr

from shared.settings import Settings


class CollectorSettings(Settings):
    """Where the doors are, and how much may wait behind them."""

    collector_port: int = Field(18080, ge=1, le=65535)
    collector_keys: SecretStr = SecretStr("")
    """Keys that open the doors, as `events:KEY events+items:KEY`; without any, everybody may come."""
    collector_rate: float = Field(0.0, ge=0)
    """Requests a second of one key; above it the answer is 429. 0 for no limit. Without keys, of one address, which behind a load
    balancer is the balancer's: give keys there."""
    collector_body_bytes: int = Field(2 << 20, ge=1 << 10, le=8 << 20)
    """Of the largest request; a larger one is refused with 413."""
    collector_bytes_in_flight: int = Field(32 << 20, ge=1 << 20)
    """Of all requests whose records Kafka has not acknowledged; above it the answer is 503."""
    collector_ack_seconds: float = Field(5.0, gt=0, le=60)
    """How long a request waits for Kafka before it is answered 503."""
    collector_drain_seconds: int = Field(10, ge=1)
    """How long the requests in flight may take to finish after SIGTERM."""
