"""What the shopper can be told, by ``FRESHET_SHOPPER_<NAME>`` or by an argument of the same name."""

from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, Field, SecretStr

from shared.datasets.settings import SampleSettings


class ShopperSettings(SampleSettings):
    """Where the doors are, what is played, and how fast."""

    collector: str = "http://127.0.0.1:18080"
    ranking: str = "http://127.0.0.1:18081"
    shopper_key: SecretStr = SecretStr("")
    """The API key that it sends to both, where they ask for one."""
    shopper_port: int = Field(18085, ge=0, le=65535)
    """Of its own ``/metrics``; 0 takes a free one."""
    shopper_log: Path = Path(".state/shopper")
    """Folder of the append-only log that the report reads."""
    shopper_end: AwareDatetime = Field("2018-01-01T00:00:00Z", validate_default=True)
    shopper_rate: Annotated[float, Field(gt=0, le=10_000)] = 66.0
    """``/rank`` requests per second, Poisson."""
    shopper_seconds: Annotated[float, Field(gt=0)] = 180.0
    """Wall time of the play; the drain comes on top."""
    shopper_drain: Annotated[float, Field(ge=0)] = 5.0
    """Wall time after the last outcome in which the shopper keeps asking, so that bundles made of it are seen."""
    shopper_in_flight: int = Field(128, ge=1)
    """Requests waiting for an answer; one more is not sent and counts as shed."""
    shopper_delay_median: Annotated[float, Field(gt=0)] = 3.0
    """Seconds between a ranking and its outcome: log-normal with this median and ``shopper_delay_p90``."""
    shopper_delay_p90: Annotated[float, Field(gt=0)] = 20.0
    shopper_behaviour: Annotated[float, Field(gt=0)] = 200.0
    """Behaviour events per second in all, ``--synthetic`` only."""
