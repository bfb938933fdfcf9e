"""What Prometheus sees of the updater; every name begins with ``updater_``."""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from shared.bundles.manifest import Manifest

GUARDS = ("rows", "calibration", "exposure")
SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

window = Gauge("updater_window", "The last window learned")
epoch = Gauge("updater_epoch", "This life's epoch")
examples = Counter("updater_examples_total", "Examples learned", ["kind"])
rows = Counter("updater_rows_total", "Rows learned")
outcomes = Counter("updater_outcomes_total", "Outcomes learned", ["action"])
skipped = Counter("updater_skipped_total", "Examples not learned", ["reason"])
window_seconds = Histogram("updater_window_seconds", "Time to test and learn a window", buckets=SECONDS)
quality = Gauge("updater_quality", "Prequential metrics over the settled rows", ["prediction", "slice", "metric"])
bundles = Counter("updater_bundles_total", "Bundles published", ["kind"])
bundle_bytes = Gauge("updater_bundle_bytes", "Size of the last bundle's own files", ["kind"])
publish_seconds = Histogram("updater_publish_seconds", "Time to publish a bundle", buckets=SECONDS)
refused = Counter("updater_bundles_refused_total", "Bundles that the gate refused", ["reason"])
gate_open = Gauge("updater_gate_open", "1 while bundles may be published")
canary_shift = Gauge("updater_canary_shift", "Mean change of the canaries' probability from the last full bundle to the candidate")
fallbacks = Counter("updater_fallbacks_total", "Times that the pointer went back to a good bundle")
untracked = Counter("updater_untracked_total", "Times that a run's figures or a bundle's were not kept", ["store"])
"""The store that refused; ``full`` where too many bundles waited."""
waits = Counter("updater_publish_waits_total", "Times that publishing waited for an engine")
windows_skipped = Counter("updater_windows_skipped_total", "Windows that the breaker or an operator had skipped", ["reason"])
learning_stopped = Gauge("updater_learning_stopped", "1 while windows are skipped because the stream is strange, or paused")
still = Gauge("updater_still_inputs", "Inputs that moved and stand still")
suspects = Gauge("updater_suspect_items", "Items that bots seem to push")
alarms = Counter("updater_alarms_total", "Times that the breaker found something strange", ["signal"])
drift = Counter("updater_drift_total", "Times that a detector told of drift; nothing follows from it", ["detector", "watched"])
void_plans = Counter("updater_void_plans_total", "Plans of replaced updaters that were passed over")
encoded = Counter("updater_items_encoded_total", "Items encoded: new ones, and those whose title, category or brand is")
challenger_gain = Gauge("updater_challenger_gain", "Log loss gained over the champion, nats a row", ["challenger", "bound"])
challenger_lists = Gauge("updater_challenger_lists", "Lists compared with the champion's predictions", ["challenger"])
challenger_held = Gauge("updater_challenger_held", "1 while a guard holds back what has earned promotion", ["challenger", "guard"])
promotions = Counter("updater_challenger_promotions_total", "Challengers that took the champion's place")


def published(manifest: Manifest, size: int, seconds: float) -> None:
    """A bundle stands."""
    bundles.labels(manifest.kind).inc()
    bundle_bytes.labels(manifest.kind).set(size)
    publish_seconds.observe(seconds)


def measured(measures: Mapping[str, float]) -> None:
    """The newest metrics, named ``live.auc`` or ``live.cold.auc``; one that is not among them is shown no longer."""
    quality.clear()
    for name, value in measures.items():
        prediction, *slice_name, metric = name.split(".") if "." in name else ("", name)
        quality.labels(prediction, slice_name[0] if slice_name else "all", metric).set(value)


def challenger(name: str, lists: int, gain: tuple[float, float, float], held: str) -> None:
    """The newest evidence of a challenger: its gain as lower bound, mean and upper bound, and the guard that holds it back."""
    for bound, value in zip(("lower", "mean", "upper"), gain, strict=True):
        challenger_gain.labels(name, bound).set(value)
    challenger_lists.labels(name).set(lists)
    for guard in GUARDS:
        challenger_held.labels(name, guard).set(held == guard)


def forget_challengers() -> None:
    """Some are challengers no more: those who are will be told again."""
    for metric in (challenger_gain, challenger_lists, challenger_held):
        metric.clear()
