"""What learning looks like over hours and days, kept for TensorBoard and MLflow. Nothing waits for it.

A thread of its own reads every few seconds what Prometheus sees of the updater, and writes it as of the last window; full bundles
hand it their manifest, their card and how their weights are spread. What cannot be written is counted and left out.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from prometheus_client import REGISTRY, CollectorRegistry
from structlog.stdlib import BoundLogger

from services.updater import exported
from services.updater.publishing.published import Published
from shared.bundles.manifest import Manifest

EVERY_S = 10.0
WAITING = 4
"""Full bundles that may wait to be written."""
BINS = 30


@dataclass(frozen=True, slots=True)
class Spread:
    """How values are distributed; m bins."""

    counts: NDArray[np.int64]
    """(m,)."""
    edges: NDArray[np.float64]
    """(m + 1,)."""
    total: float
    squares: float
    """Sum of the squared values."""

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> "Spread":
        """Of values of any shape; at least one."""
        flat = values.ravel().astype(np.float64)
        counts, edges = np.histogram(flat, BINS)
        return cls(counts, edges, float(flat.sum()), float(flat @ flat))


@dataclass(frozen=True, slots=True)
class Told:
    """What a full bundle says of itself."""

    version: str
    window: int
    manifest: str
    """JSON."""
    card: str
    """Markdown."""
    spreads: Mapping[str, Spread]
    """``rows/<table>``: the norms of the table's rows in use; ``dense/<weight>``: a dense weight's values."""


class Run(Protocol):
    """Somewhere that keeps what is tracked. Used by one thread; may raise whatever its storage raises."""

    name: str

    def scalars(self, values: Mapping[str, float], window: int) -> None:
        """Keep figures by name, as of a window."""

    def bundle(self, told: Told) -> None:
        """Keep what a full bundle says."""

    def close(self) -> None:
        """This life ends."""


class Tracking:
    """Writes to all runs until it is closed; create it once learning may begin."""

    def __init__(
        self, runs: Sequence[Run], log: BoundLogger, *, registry: CollectorRegistry = REGISTRY, every_s: float = EVERY_S
    ) -> None:
        self._runs, self._log, self._registry, self._every_s = runs, log, registry, every_s
        self._told = queue.SimpleQueue[Told | None]()
        self._before: Mapping[str, float] = {}
        self._thread = threading.Thread(target=self._follow, name="track", daemon=True)
        if runs:
            self._thread.start()

    def bundle(self, manifest: Manifest, card: str, published: Published) -> None:
        """Take what a full bundle says; call it from the thread that changes ``published``."""
        if self._told.qsize() >= WAITING:
            exported.untracked.labels("full").inc()
        elif self._runs:
            text = msgspec.json.format(msgspec.json.encode(manifest), indent=1).decode()
            self._told.put(Told(manifest.version, manifest.window, text, card, spreads(published)))

    def close(self, seconds: float) -> None:
        """Write what is left, for at most so long."""
        if self._runs:
            self._told.put(None)
            self._thread.join(seconds)

    def _follow(self) -> None:
        due = time.monotonic() + self._every_s
        while True:
            try:
                told = self._told.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                self._look()
                due = time.monotonic() + self._every_s
                continue
            if told is None:
                break
            self._each(lambda run, told=told: run.bundle(told))  # type: ignore[misc]
        self._look()
        self._each(lambda run: run.close())

    def _look(self) -> None:
        seen = samples(self._registry)
        if window := int(seen.get("updater_window", 0)):  # before it, nothing has been learned in this life
            values = scalars(seen, self._before)
            self._each(lambda run: run.scalars(values, window))
        self._before = seen

    def _each(self, do: Callable[[Run], None]) -> None:
        for run in self._runs:
            try:
                do(run)
            except Exception as error:  # whatever a store raises: learning goes on untracked, and says so
                exported.untracked.labels(run.name).inc()
                self._log.warning("not tracked", store=run.name, reason=str(error))


def samples(registry: CollectorRegistry) -> dict[str, float]:
    """What the registry holds of the updater, by name and labels (``updater_quality/live.all.auc``): what is finite, no buckets."""
    found = {}
    for sample in (sample for family in registry.collect() for sample in family.samples):
        bucket = sample.name.endswith(("_bucket", "_created"))
        if sample.name.startswith("updater_") and not bucket and np.isfinite(sample.value):
            labels = ".".join(filter(None, sample.labels.values()))
            found[f"{sample.name}/{labels}" if labels else sample.name] = sample.value
    return found


def scalars(seen: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """The samples as figures: a histogram becomes its mean since the samples ``before``; rows a second of learning are added."""
    gained = {name: value - before.get(name, 0.0) for name, value in seen.items()}
    values = {}
    for name, value in seen.items():
        short = name.removeprefix("updater_")
        if name.endswith("_count"):
            continue
        if name.endswith("_sum"):
            if count := gained[name.removesuffix("_sum") + "_count"]:
                values[f"updater/{short.removesuffix('_sum')}"] = gained[name] / count
        else:
            values[short if "/" in short else f"updater/{short}"] = value
    if (seconds := gained.get("updater_window_seconds_sum", 0.0)) > 0:
        values["updater/rows_per_second"] = gained["updater_rows_total"] / seconds
    return values


def spreads(published: Published) -> dict[str, Spread]:
    """How what readers hold is spread: each table's rows by their norm, each dense weight by its values."""
    rows = {name: table.values[1 : table.rows] for name, table in published.tables.items()}
    norms = {f"rows/{name}": np.sqrt(np.einsum("nd,nd->n", values, values)) for name, values in rows.items() if len(values)}
    dense = {f"dense/{name}": weight for name, weight in published.dense.items() if weight.size}
    return {name: Spread.of(values) for name, values in (norms | dense).items()}
