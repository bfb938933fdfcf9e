"""What the local stack can be told: its folder and its ports. ``FRESHET_KAFKA``, ``_REDIS`` and ``_S3`` replace its engines."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr

from infra.local.engines import CREDENTIALS
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""
MARK = "FRESHET_STACK_OF"
"""A variable by which a stack's processes are known; never set by hand."""


class StackSettings(Settings):
    """Where the local stack keeps its state, and which ports it takes."""

    state: Path = ROOT / ".state"
    """Folder of everything the stack writes: engines' data, keys, logs."""
    kafka_port: int = Field(19092, ge=1, le=65534)
    """Of the local Kafka; its controller takes the next one."""
    redis_port: int = Field(16379, ge=1, le=65535)
    s3_port: int = Field(18333, ge=1, le=65526)
    """Of the local SeaweedFS; its other servers take the next nine."""
    collector_port: int = Field(18080, ge=1, le=65535)
    ranking_port: int = Field(18081, ge=1, le=65535)
    features_port: int = Field(18082, ge=1, le=65535)
    joiner_port: int = Field(18083, ge=1, le=65535)
    updater_port: int = Field(18084, ge=1, le=65535)

    by_name: bool = False
    """Whether each service answers under its own name, as in compose, not all under `FRESHET_HOST`; `freshet lag` asks there."""

    _given: frozenset[str] = PrivateAttr(frozenset())

    def model_post_init(self, _: Any) -> None:
        """Remember what the environment said, before ``resolved`` fills in the rest."""
        self._given = frozenset(self.model_fields_set)

    def external(self, engine: str) -> bool:
        """Whether the environment says where ``kafka``, ``redis`` or ``s3`` is, so that none is started."""
        return engine in self._given

    def resolved(self) -> Self:
        """The same with the addresses of the engines that the stack starts itself.

        The credentials of a local object storage are put where boto3 looks for them.
        """
        if not self.external("s3"):
            os.environ.update(CREDENTIALS)
        local = {
            "kafka": f"127.0.0.1:{self.kafka_port}",
            "redis": f"redis://127.0.0.1:{self.redis_port}/0",
            "s3": f"http://127.0.0.1:{self.s3_port}",
        }
        return self.model_copy(update={name: value for name, value in local.items() if not self.external(name)})

    @property
    def socket(self) -> Path:
        """Where the process manager listens: in the state folder, or beside it where that path is too long for a socket."""
        path = self.state.absolute() / "supervisor.sock"
        if len(str(path).encode()) < 90:
            return path
        return Path(tempfile.gettempdir()) / f"freshet-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}.sock"

    @property
    def keys(self) -> tuple[Path, Path]:
        """The key that signs bundles and the one that verifies them."""
        folder = self.state.absolute() / "keys"
        return folder / "signing.pem", folder / "verify.pem"

    def environment(self) -> dict[str, str]:
        """The variables that make every process of the stack agree."""
        signing, verifying = self.keys
        variables = {
            "FRESHET_KAFKA": self.kafka,
            "FRESHET_REDIS": self.redis,
            "FRESHET_S3": self.s3,
            "FRESHET_CLOCK": self.clock,
            "FRESHET_STATE": str(self.state.absolute()),
            MARK: str(self.state.absolute()),
            "FRESHET_JOINER_FOLDER": str(self.state.absolute() / "joiner"),
            "FRESHET_SIGNING_KEY": str(signing),
            "FRESHET_VERIFY_KEY": str(verifying),
            "BENTOML_DO_NOT_TRACK": "True",
            "PYTHONUNBUFFERED": "1",
        }
        return variables | ({} if self.external("s3") else CREDENTIALS)
