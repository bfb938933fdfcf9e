"""What is tracked is what was measured, stays in its bounds, and nothing waits for it."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from infra.local.settings import StackSettings
from infra.local.stack import Stack
from services.updater import exported
from services.updater.runs import EVENTS, Mlflow, TensorBoard, runs
from services.updater.settings import UpdaterSettings
from services.updater.tracking import WAITING, Run, Spread, Told, Tracking, samples, scalars, spreads
from shared.bundles.manifest import Manifest
from shared.bundles.objects import MemoryObjects
from shared.bundles.storage import Storage
from tests.unit.test_updater_publishing import EVERYTHING, ROWS, a_bench

log = structlog.stdlib.get_logger()
VALUES = np.array([-1.0, 0.5, 0.5, 2.0], np.float32)


class Updater:
    """What Prometheus sees of one."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.window = Gauge("updater_window", "", registry=self.registry)
        self.rows = Counter("updater_rows_total", "", registry=self.registry)
        self.seconds = Histogram("updater_window_seconds", "", registry=self.registry)
        self.quality = Gauge("updater_quality", "", ["prediction", "slice", "metric"], registry=self.registry)
        self.refused = Counter("updater_bundles_refused_total", "", ["reason"], registry=self.registry)
        Gauge("process_something", "", registry=self.registry).set(1)

    def learns(self, rows: int, seconds: float) -> None:
        self.window.inc()
        self.rows.inc(rows)
        self.seconds.observe(seconds)


class Kept(Run):
    """Remembers; may be told to hang or to fail."""

    name = "kept"

    def __init__(self, do: Callable[[], object] = lambda: None) -> None:
        self.figures: list[tuple[Mapping[str, float], int]] = []
        self.bundles: list[str] = []
        self.closed = threading.Event()
        self._do = do

    def scalars(self, values: Mapping[str, float], window: int) -> None:
        self._do()
        self.figures.append((values, window))

    def bundle(self, told: Told) -> None:
        self._do()
        self.bundles.append(told.version)

    def close(self) -> None:
        self.closed.set()


def told(window: int = 7) -> Told:
    return Told(f"{window:08}-0001", window, '{"window": 7}', "# The card", {"rows/item": Spread.of(VALUES)})


def untracked(store: str) -> float:
    return exported.untracked.labels(store)._value.get()


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0, "histograms": 0}).Reload()


def test_figures_are_the_metrics_and_rates_are_of_the_time_since_the_last_look() -> None:
    updater = Updater()
    updater.learns(1_000, 10.0)
    before = samples(updater.registry)
    updater.learns(100, 0.2)
    updater.learns(300, 0.6)
    updater.quality.labels("live", "all", "auc").set(0.8)
    updater.quality.labels("", "all", "rows").set(float("nan"))
    updater.refused.labels("norm").inc()
    assert scalars(samples(updater.registry), before) == pytest.approx(
        {
            "updater/window": 3,
            "updater/rows_total": 1_400,
            "updater/window_seconds": 0.4,
            "updater/rows_per_second": 500,
            "quality/live.all.auc": 0.8,
            "bundles_refused_total/norm": 1,
        }
    )
    quiet = samples(updater.registry)
    assert not {"updater/rows_per_second", "updater/window_seconds"} & scalars(quiet, quiet).keys()


def test_figures_are_kept_as_of_the_last_window_and_none_before_the_first() -> None:
    updater, kept = Updater(), Kept()
    tracking = Tracking([kept], log, registry=updater.registry, every_s=0.02)
    time.sleep(0.1)
    assert kept.figures == []
    updater.learns(5, 0.1)
    tracking.close(5)
    assert [window for _, window in kept.figures][-1] == 1
    assert kept.closed.is_set()


def test_tensorboard_reads_figures_histograms_and_texts(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    board.scalars({"quality/live.all.auc": 0.75}, 6)
    board.bundle(told())
    board.close()
    found = read(tmp_path)
    assert [(event.step, event.value) for event in found.Scalars("quality/live.all.auc")] == [(6, 0.75)]
    [histogram] = [event.histogram_value for event in found.Histograms("rows/item")]
    assert (histogram.num, histogram.min, histogram.max, histogram.sum) == (4, -1, 2, 2)
    assert sum(histogram.bucket) == 4
    for name, text in (("card", "# The card"), ("manifest", '{"window": 7}')):
        [event] = found.Tensors(f"{name}/text_summary")
        assert text in event.tensor_proto.string_val[0].decode()


def test_event_files_stay_in_their_bounds_and_the_newest_are_kept(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path, files=3, file_bytes=4_000)
    for window in range(1, 200):
        board.scalars({f"quality/{n}": 0.5 for n in range(10)}, window)
        assert len(list(tmp_path.glob(EVENTS))) <= 3
    board.close()
    assert sum(file.stat().st_size for file in tmp_path.glob(EVENTS)) < 3 * 6_000
    steps = [event.step for event in read(tmp_path).Scalars("quality/3")]
    assert steps == list(range(steps[0], 200))
    assert steps[0] > 1


def test_windows_that_are_learned_again_are_shown_once(tmp_path: Path) -> None:
    for windows in (range(1, 10), range(4, 7)):  # the second life begins at an older checkpoint
        board = TensorBoard(tmp_path)
        for window in windows:
            board.scalars({"quality/live.all.auc": 0.5}, window)
        board.close()
    assert [event.step for event in read(tmp_path).Scalars("quality/live.all.auc")] == [1, 2, 3, 4, 5, 6]


def test_nothing_waits_for_a_store_that_hangs(tmp_path: Path) -> None:
    bench, hangs, before = a_bench(Storage(MemoryObjects(), "ranking"), tmp_path), threading.Event(), untracked("full")
    kept = Kept(hangs.wait)
    tracking = Tracking([kept], log, registry=Updater().registry)
    manifest = bench.learn(EVERYTHING)
    began = time.monotonic()
    for _ in range(WAITING + 3):
        tracking.bundle(manifest, "", bench.publisher.published)
    tracking.close(0.1)
    assert time.monotonic() - began < 5
    assert untracked("full") - before >= 2  # one may be in the hands of the store
    hangs.set()
    assert kept.closed.wait(5)


def test_a_store_that_fails_is_counted_and_the_others_go_on() -> None:
    def fail() -> None:
        raise OSError("no space left")

    updater, kept, before = Updater(), Kept(), untracked("kept")
    updater.learns(1, 1)
    tracking = Tracking([Kept(fail), kept], log, registry=updater.registry)
    tracking.close(5)
    assert (len(kept.figures), untracked("kept") - before) == (1, 1)


def test_full_bundles_are_told_with_what_readers_hold(tmp_path: Path) -> None:
    heard: list[tuple[Manifest, str, Mapping[str, Spread]]] = []
    bench = a_bench(
        Storage(MemoryObjects(), "ranking"), tmp_path,
        track=lambda manifest, card, published: heard.append((manifest, card, spreads(published))),
    )  # fmt: skip
    bench.learn(ROWS)
    manifest = bench.learn(EVERYTHING)
    [(said, card, found)] = heard
    assert said == manifest
    assert card.startswith(f"# ranking {manifest.version}")
    assert {name.split("/")[0] for name in found} == {"rows", "dense"}
    assert found["rows/item"].counts.sum() == manifest.tables["item"].rows - 1
    norms = np.linalg.norm(bench.learner.tables.full()["item"].values, axis=1)
    assert found["rows/item"].total == pytest.approx(norms.sum(), rel=1e-5)


def test_the_settings_say_who_keeps_what(tmp_path: Path) -> None:
    assert runs(UpdaterSettings(), 1) == []
    [board] = runs(UpdaterSettings(updater_runs=str(tmp_path)), 1)
    board.scalars({"updater/window": 1.0}, 1)
    board.close()
    assert [path.name for path in tmp_path.iterdir()] == ["ranking"]


def test_a_local_stack_is_tracked_unless_the_environment_says_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(StackSettings(state=tmp_path), "demo")
    monkeypatch.delenv("FRESHET_UPDATER_RUNS", raising=False)
    assert stack.variables["FRESHET_UPDATER_RUNS"] == str(tmp_path / "runs" / "demo")
    monkeypatch.setenv("FRESHET_UPDATER_RUNS", "")
    assert stack.variables["FRESHET_UPDATER_RUNS"] == ""


@pytest.mark.filterwarnings("ignore::Warning:sqlalchemy", "ignore::Warning:mlflow")  # theirs, of each other
def test_mlflow_keeps_figures_and_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)  # where its store of one's own puts artifacts
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for epoch in (3, 4):
        kept = Mlflow(uri, "ranking", epoch)
        kept.scalars({"quality/live.all.auc": 0.75, "updater/window": 6.0}, 6)
        kept.bundle(told())
        kept.close()
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("freshet-ranking")
    lives = client.search_runs([experiment.experiment_id])
    assert {life.info.run_name for life in lives} == {"life 3", "life 4"}
    for life in lives:
        assert (life.info.status, life.data.metrics["quality/live.all.auc"]) == ("FINISHED", 0.75)
        [metric] = client.get_metric_history(life.info.run_id, "updater/window")
        assert metric.step == 6
        card = client.download_artifacts(life.info.run_id, "bundles/00000007-0001/card.md")
        assert Path(card).read_text() == "# The card"
