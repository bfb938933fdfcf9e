"""Ranking's own settings."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from shared.settings import Settings


class RankingSettings(Settings):
    """Where it listens, whom it trusts, and how much may wait."""

    ranking_port: int = Field(18081, ge=1, le=65535)
    verify_key: Path = Path("keys/verify.pem")
    """File of the Ed25519 public keys (PEM) whose bundles are served, two while keys rotate; no other's are."""
    ranking_keys: SecretStr = SecretStr("")
    """Keys that open the doors, as `rank:KEY explain+rank:KEY`; without any, everybody may come."""
    ranking_rate: float = Field(0.0, ge=0)
    """Requests a second of one key; above it the answer is 429. 0 for no limit. Without keys, of one address, which behind a load
    balancer is the balancer's: give keys there."""
    ranking_concurrency: int = Field(64, ge=1)
    """Requests in work at once; above it the answer is 503 with Retry-After."""
    ranking_body_bytes: int = Field(1 << 20, ge=1 << 10)
    """Of the largest request; a larger one is refused with 413."""
    ranking_store_seconds: float = Field(0.02, gt=0)
    """How long a request waits for the feature store; after it the answer is without counters, and says `degraded`."""
    ranking_poll_seconds: float = Field(2.0, gt=0)
    """How often the storage's pointers are looked at, announcements or not: a pin is obeyed within it."""
    ranking_retrieved: int = Field(200, ge=1, le=1_000)
    """Items that the full model ranks for a recommendation."""
    ranking_explore: Literal["none", "swap", "plackett-luce"] = "none"
    """How orders are explored: now and then two neighbours change places, or all places are drawn by the scores."""
    ranking_explore_share: float = Field(0.1, gt=0, lt=1)
    """Of the answers in which `swap` exchanges a pair."""
    ranking_explore_temperature: float = Field(0.1, gt=0, le=100)
    """Of `plackett-luce`: near 0 the best order, at 1 in proportion to the scores, above it more and more at random."""
    ranking_impressions_buffer: int = Field(10_000, ge=1)
    """Impressions that may wait for Kafka; further ones are dropped and counted."""
    ranking_impressions_bytes: int = Field(64 << 20, ge=1 << 20)
    """Of those together."""
    ranking_impressions_wait: bool = False
    """Answer only after Kafka has the impression (503 if it has not within ``ranking_impressions_seconds``)."""
    ranking_impressions_seconds: float = Field(2.0, gt=0)
    ranking_drain_seconds: int = Field(10, ge=1)
    """How long requests and impressions in flight may take after SIGTERM."""
