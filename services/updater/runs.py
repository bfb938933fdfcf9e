"""The two keepers of what is tracked: TensorBoard's event files, and MLflow."""

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from services.updater.settings import UpdaterSettings
from services.updater.tracking import Run, Told
from shared.errors import BadSettings

FILES, FILE_BYTES = 16, 16 << 20
"""Event files that are kept, and the size at which the next one is begun: a few days of learning."""
EVENTS = "events.out.tfevents.*"
TOGETHER = {
    "quality": {
        metric: ["Multiline", [f"quality/{name}.all.{metric}" for name in ("live", "served", "frozen")]]
        for metric in ("auc", "logloss", "ece", "group_auc")
    }
}
"""Charts of several figures, on TensorBoard's page *custom scalars*."""
PATIENCE = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""MLflow's own settings, where the environment does not say otherwise."""


def runs(settings: UpdaterSettings, epoch: int) -> list[Run]:
    """Those that the settings ask for.

    Raises:
        BadSettings: MLflow is asked for and is not installed.
    """
    asked: list[Run] = []
    if settings.updater_runs:
        asked.append(TensorBoard(Path(settings.updater_runs) / settings.task))
    if settings.updater_mlflow:
        asked.append(Mlflow(settings.updater_mlflow, settings.task, epoch))
    return asked


class TensorBoard:
    """A folder of event files. What an earlier life wrote of windows that are learned again is hidden."""

    name = "tensorboard"

    def __init__(self, folder: Path, files: int = FILES, file_bytes: int = FILE_BYTES) -> None:
        self._folder, self._files, self._file_bytes = folder, files, file_bytes
        self._writer: SummaryWriter | None = None

    def scalars(self, values: Mapping[str, float], window: int) -> None:
        """As :class:`services.updater.tracking.Run` says."""
        writer = self._at(window)
        for name, value in values.items():
            writer.add_scalar(name, value, window)
        writer.flush()

    def bundle(self, told: Told) -> None:
        """Histograms and texts."""
        writer = self._at(told.window)
        for name, spread in told.spreads.items():
            writer.add_histogram_raw(
                name, min=spread.edges[0], max=spread.edges[-1], num=int(spread.counts.sum()), sum=spread.total,
                sum_squares=spread.squares, bucket_limits=spread.edges[1:].tolist(), bucket_counts=spread.counts.tolist(),
                global_step=told.window,
            )  # fmt: skip
        writer.add_text("card", told.card, told.window)
        writer.add_text("manifest", f"```json\n{told.manifest}\n```", told.window)
        writer.flush()

    def close(self) -> None:
        """End the file."""
        if self._writer:
            self._writer.close()

    def _at(self, window: int) -> SummaryWriter:
        """The file that is written, a new one where it is large; the oldest go."""
        if self._writer and self._written()[-1].stat().st_size >= self._file_bytes:
            self._writer.close()
            self._writer = None
        if not self._writer:
            for old in self._written()[: 1 - self._files or None]:
                old.unlink()
            self._writer = SummaryWriter(str(self._folder), purge_step=window)
            self._writer.add_custom_scalars(TOGETHER)
        return self._writer

    def _written(self) -> list[Path]:
        return sorted(self._folder.glob(EVENTS))  # their names begin with the second that they were made in


class Mlflow:
    """A run of the experiment ``freshet-<task>`` for each life: the figures, and the card of each full bundle as an artifact."""

    name = "mlflow"

    def __init__(self, uri: str, task: str, epoch: int) -> None:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        try:
            from mlflow import MlflowClient
            from mlflow.entities import Metric
        except ImportError as error:
            raise BadSettings("FRESHET_UPDATER_MLFLOW needs MLflow: install Freshet with its extra `mlflow`.") from error
        self._connect: Callable[[], Any] = partial(MlflowClient, tracking_uri=uri)
        self._metric = Metric
        self._experiment, self._life = f"freshet-{task}", f"life {epoch}"
        self._client: Any = None
        self._run = ""

    def scalars(self, values: Mapping[str, float], window: int) -> None:
        """As :class:`services.updater.tracking.Run` says."""
        now = int(time.time() * 1000)
        self._begun().log_batch(self._run, [self._metric(name, value, now, window) for name, value in values.items()])

    def bundle(self, told: Told) -> None:
        """The card and the manifest."""
        client = self._begun()
        client.log_text(self._run, told.card, f"bundles/{told.version}/card.md")
        client.log_text(self._run, told.manifest, f"bundles/{told.version}/manifest.json")

    def close(self) -> None:
        """End the run."""
        if self._run:
            self._client.set_terminated(self._run)

    def _begun(self) -> Any:
        """The client, the run made: at its first use, so that a server that is away holds up nobody."""
        self._client = self._client or self._connect()
        if not self._run:
            found = self._client.get_experiment_by_name(self._experiment)
            experiment = found.experiment_id if found else self._client.create_experiment(self._experiment)
            self._run = self._client.create_run(experiment, run_name=self._life).info.run_id
        return self._client
