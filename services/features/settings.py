"""What the features service can be told; see ``shared/settings.py``."""

import socket

from pydantic import Field

from shared.settings import Settings


class FeaturesSettings(Settings):
    """Settings of the features service, ``FRESHET_FEATURES_*``."""

    features_port: int = Field(18082, ge=1, le=65535)
    """Of ``/livez``, ``/readyz`` and ``/metrics``."""
    features_instance: str = Field(default_factory=socket.gethostname, min_length=1)
    """This worker's fixed name in the group; two at once must not share one."""
    features_users: int = Field(10_000, ge=4_096, le=10_000_000)
    """Users' rows held in memory (about 5 kB each), allocated at the start; the others wait in Valkey."""
    features_items: int = Field(50_000, ge=4_096, le=10_000_000)
    """Items' rows held in memory (about 1 kB each)."""
    features_flush_s: float = Field(0.1, gt=0, le=60)
    """Seconds between two flushes: the age at which a counter can be read."""
    features_per_minute: float = Field(600.0, ge=0)
    """Events of one user that count within a minute of event time; the rest is left out and counted. 0 for no limit."""
    features_acts: float = Field(1.0, ge=0, le=1)
    """Share of people's events that are more than views, as `collector_events_total` tells it. Whoever does far more than that, 40
    times within an hour, is a robot for a day, whose events do not count for items. At 1 nobody is one."""
    features_history: str = ""
    """Folder of the parquet history that Feast's offline store reads, or `s3://bucket/prefix`; none is kept without it."""
    features_history_s: float = Field(60.0, gt=0)
    """Seconds between two parts of the history; each part holds the newest row of every key that changed."""
    features_session_s: float = Field(10.0, ge=6, le=300)
    """Seconds of silence after which a worker's partitions go to others."""
