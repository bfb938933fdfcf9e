"""Settings that services share, from the environment: ``FRESHET_<NAME>``. Only entry files read them.

A service's own settings are a subclass in its ``settings.py``. ``.env.example`` lists every one.
"""

from typing import Any, Literal, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import BadSettings


class Settings(BaseSettings):
    """Where the engines are, and what every service agrees on."""

    model_config = SettingsConfigDict(env_prefix="FRESHET_", frozen=True, extra="ignore")

    kafka: str = "127.0.0.1:19092"
    """Bootstrap servers, separated by commas."""
    partitions: int = Field(16, ge=1, le=4096)
    """Of every keyed topic. Never change it under data: users would move to other partitions."""
    replicas: int = Field(1, ge=1, le=9)
    redis: str = "redis://127.0.0.1:16379/0"
    s3: str = "http://127.0.0.1:18333"
    """Endpoint of the S3 API; empty for AWS itself. Credentials come from the usual ``AWS_*`` variables."""
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

    @classmethod
    def read(cls, **values: Any) -> Self:
        """The settings from the environment.

        Raises:
            BadSettings: a value is wrong; names the variable and what it may be.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadSettings(f"FRESHET_{'_'.join(map(str, first['loc'])).upper()}: {first['msg']}") from None
