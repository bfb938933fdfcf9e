"""Settings that services share, from the environment: ``FRESHET_<NAME>``. Only entry files read them.

A service's own settings are a subclass in its ``settings.py``. ``.env.example`` lists every one.
"""

import os
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import BadSettings


class Settings(BaseSettings):
    """Where the engines are, and what every service agrees on."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", frozen=True, extra="ignore")

    kafka: str = "127.0.0.1:19092"
    """Bootstrap servers, separated by commas."""
    kafka_tls: bool = False
    """Whether Kafka is spoken to over TLS."""
    kafka_auth: Literal["none", "plain", "scram", "iam"] = "none"
    """How we log in to Kafka: by user and password (`plain`, or `scram` for SCRAM-SHA-512), or by our role on AWS (`iam`)."""
    kafka_user: str = ""
    kafka_password: SecretStr = SecretStr("")
    partitions: int = Field(16, ge=1, le=4096)
    """Of every keyed topic. Never change it under data: users would move to other partitions."""
    replicas: int = Field(1, ge=1, le=9)
    redis: str = Field("redis://127.0.0.1:16379/0", repr=False)
    """Valkey's address: `rediss://user:password@host:6379/0` with TLS and a login."""
    redis_cluster: str = ""
    """Name of the ElastiCache cluster that the address is of, where its user is a role: a token of AWS is then the password."""
    ca: Path | None = None
    """PEM file of authorities that are trusted for Kafka and Valkey, besides the system's own; for S3 it is `AWS_CA_BUNDLE`."""
    s3: str = "http://127.0.0.1:18333"
    """Endpoint of the S3 API; empty for AWS itself. Credentials come from where AWS' own tools look for them."""
    bucket: str = "freshet"
    region: str = "us-east-1"
    project: str = "shop"
    """Feast's project: the first part of every key in the online store."""
    task: str = "ranking"
    clock: Literal["wall", "event"] = "wall"
    """``event`` accepts the time of a call from the caller (``at``): replays of the past only."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    host: str = "127.0.0.1"
    """Address that HTTP doors and metrics listen on."""
    traces: str = ""
    """OTLP endpoint (HTTP) that spans are sent to, such as `http://127.0.0.1:4318`; no traces are made without one."""
    traces_share: float = Field(0.01, ge=0, le=1)
    """Share of the calls that are followed where the caller does not say."""
    secrets: Path | None = None
    """Folder whose files are settings too, named in lower case (`freshet_kafka_password`). The environment goes first."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse logins that cannot be meant.

        Raises:
            BadSettings: says which settings do not go together.
        """
        login = bool(self.kafka_user), bool(self.kafka_password.get_secret_value())
        if self.kafka_auth in ("plain", "scram") and not all(login):
            raise BadSettings(f"FRESHET_KAFKA_AUTH={self.kafka_auth} needs FRESHET_KAFKA_USER and FRESHET_KAFKA_PASSWORD.")
        if self.kafka_auth in ("none", "iam") and any(login):
            raise BadSettings(f"FRESHET_KAFKA_AUTH={self.kafka_auth} takes no user and no password: plain and scram do.")
        if self.kafka_auth in ("plain", "iam") and not self.kafka_tls:
            raise BadSettings(f"FRESHET_KAFKA_AUTH={self.kafka_auth} would send a secret in clear: set FRESHET_KAFKA_TLS=true.")
        if not self.redis.startswith(("redis://", "rediss://", "unix://")):
            raise BadSettings("FRESHET_REDIS begins with redis://, or with rediss:// for TLS.")
        if self.redis_cluster and not re.match("rediss://[^:@/]+@", self.redis):
            raise BadSettings(
                "FRESHET_REDIS_CLUSTER takes a token over TLS for a password: FRESHET_REDIS is rediss://user@host:6379/0."
            )
        if self.ca and not self.ca.is_file():
            raise BadSettings(f"FRESHET_CA: there is no file {self.ca}.")
        return self

    @classmethod
    def read(cls, **values: Any) -> Self:
        """The settings from the environment.

        Raises:
            BadSettings: a value is wrong; names the variable and what it may be.
        """
        folder = os.environ.get("FRESHET_SECRETS") or None
        if folder and not Path(folder).is_dir():
            raise BadSettings(f"FRESHET_SECRETS: there is no folder {folder}.")
        try:
            return cls(_secrets_dir=folder, **values)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadSettings(f"FRESHET_{'_'.join(map(str, first['loc'])).upper()}: {first['msg']}") from None
