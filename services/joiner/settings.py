"""What the joiner can be told; see ``shared/settings.py``."""

import socket
from pathlib import Path

import msgspec
from pydantic import Field

from shared.settings import Settings
from shared.tasks import Task, task


class JoinerSettings(Settings):
    """Settings of the joiner, ``FRESHET_JOINER_*``."""

    joiner_port: int = 18083
    """Of ``/livez``, ``/readyz`` and ``/metrics``."""
    joiner_instance: str = Field(default_factory=socket.gethostname, min_length=1)
    """This worker's fixed name in the group; two at once must not share one."""
    joiner_group: str = ""
    """The consumer group; empty for ``joiner-<task>``. Under a new name all that the log still holds is joined again."""
    joiner_folder: Path = Path(".state/joiner")
    """Local disk for the bytes of waiting impressions; rebuilt from the log at every start."""
    joiner_wait_s: float | None = Field(None, gt=0)
    """In place of the task's ``wait``."""
    joiner_window_s: float | None = Field(None, gt=0)
    """In place of the task's ``attribution``."""
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

    def joined(self) -> Task:
        """The task to join for, with these times.

        Raises:
            BadSettings: it is not declared.
        """
        declared = task(self.task)
        wait, window = self.joiner_wait_s or declared.wait, self.joiner_window_s or declared.attribution
        return msgspec.structs.replace(declared, wait=wait, attribution=window)
