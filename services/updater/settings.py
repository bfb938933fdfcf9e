"""What the updater is told from outside."""

from pathlib import Path

from pydantic import Field

from shared.datasets.settings import SampleSettings
from shared.settings import Settings


class UpdaterSettings(Settings):
    """The tempos of learning and publishing, and where the signing key lies."""

    updater_port: int = Field(18084, ge=1, le=65535)
    """Of /livez, /readyz and /metrics."""
    signing_key: Path = Path("keys/signing.pem")
    """PEM of the Ed25519 key that signs bundles."""
    window_s: float = Field(0.25, gt=0, le=3600)
    """A window closes this long after its first example."""
    window_rows: int = Field(8_192, ge=1)
    """Or with this many candidate rows, whichever comes first."""
    publish_s: float = Field(0.25, ge=0)
    """Rows are published no more often than this."""
    dense_s: float = Field(2.0, ge=0)
    """The dense part and the graph join a delta no more often than this."""
    full_s: float = Field(60.0, gt=0)
    """A full bundle is published at least this often while there is something to publish."""
    full_deltas: int = Field(64, ge=1)
    """Or after this many deltas."""
    checkpoint_s: float = Field(60.0, gt=0)
    """A full bundle at least this long after the last checkpoint carries one."""
    keep_fulls: int = Field(5, ge=2)
    """Full bundles that are kept, with the deltas and checkpoints after the oldest of them; pinned ones are kept besides."""
    ripe_s: float | None = Field(None, ge=0)
    """A row's label counts as settled for gate, calibrator and metrics this long after its window was planned; as long as the
    task waits for outcomes (its `attribution`) where it is not given. What comes later counts as negative there."""
    encode_s: float = Field(5.0, gt=0)
    """New items wait this long for others before they are encoded together."""
    texts: Path = Path("texts")
    """Folder of the text vectors that were encoded before."""
    updater_encoder: str = "all-MiniLM-L6-v2"
    """What encodes texts: the installed `all-MiniLM-L6-v2` (English) or `multilingual-e5-small`, a folder as sentence-transformers
    saves it, or an adapter as peft saves it. Another needs history imported anew."""
    drift: bool = False
    """Whether detectors of drift watch the loss, the scores and the features, and tell. They cost seconds of CPU at the start."""
    updater_runs: str = ""
    """Folder of what TensorBoard shows, a folder a task, the oldest files of which go; nothing is kept for it without one.
    Compose and the demo set it; on AWS it is off unless it is set, as a container's disk goes with it."""
    updater_mlflow: str = ""
    """Tracking URI of MLflow, such as `http://127.0.0.1:5000`, which gets the same figures and the cards of full bundles."""
    stop_s: float = Field(20.0, gt=0)
    """How long a stop waits for the storage before it leaves the last bundle to the next start."""


class HistorySettings(SampleSettings, UpdaterSettings):
    """What the import of history is told besides."""

    journey_cache: Path = Path("journey")
    """Folder where the sample's promotions are kept."""
