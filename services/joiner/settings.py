"""What the joiner can be told; see ``shared/settings.py``."""

import socket
from pathlib import Path

from pydantic import Field

from shared.settings import Settings


class JoinerSettings(Settings):
    """Settings of the joiner, ``FRESHET_JOINER_*``. The wait and the attribution window are the task's."""

    joiner_port: int = 18083
    """Of ``/livez``, ``/readyz`` and ``/metrics``."""
    joiner_instance: str = Field(default_factory=socket.gethostname, min_length=1)
    """This worker's fixed name in the group; two at once must not share one."""
    joiner_folder: Path = Path("state/joiner")
    """Local disk for the bytes of waiting impressions; rebuilt from the log at every start."""
    joiner_slack_ms: int = Field(5_000, ge=0, le=600_000)
    """How much later than its outcome an impression may be appended: longer than ranking may hold its log back."""
    joiner_skew_ms: int = Field(60, ge=2, le=60_000)
    """How far the brokers' clocks may differ, and how late an appended record may become visible. Examples wait so long more."""
    joiner_rate: float = Field(100.0, gt=0)
    """Impressions a second at the peak that this worker may have to carry."""
    joiner_impression_bytes: int = Field(20_000, ge=1)
    """Average size of an impression."""
    joiner_memory_mb: float = Field(400.0, gt=0)
    """Memory that this worker may use; a window that does not fit refuses to start."""
    joiner_session_s: float = Field(10.0, ge=6, le=300)
    """Seconds of silence after which a worker's partitions go to others."""
