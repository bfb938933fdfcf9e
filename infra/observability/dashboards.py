"""``python -m infra.observability.dashboards``: the Grafana dashboards, written to ``dashboards/<name>.json``.

A dashboard is a list of rows, a row a list of panels, and a panel its name, what it asks, and the unit of the answer.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT = 24, 8
SIGNED = ("s", "none")
"""Units of what may be below 0."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart.

    Args:
        title: what is seen.
        asked: query → its legend, in which ``{{label}}`` stands for a label's value.
        unit: in Grafana's words: ``s``, ``reqps``, ``percentunit``, ``bytes``, ``short``; ``none`` for differences.
    """

    title: str
    asked: dict[str, str]
    unit: str = "short"


def quantiles(histogram: str, by: str = "", *, legend: str = "") -> dict[str, str]:
    """Median and 99th percentile of a histogram in the last minute."""
    labels = ", ".join(filter(None, ("le", by)))
    return {
        f"histogram_quantile({q}, sum by ({labels}) (rate({histogram}_bucket[1m])))": f"p{q * 100:g} {legend}".strip()
        for q in (0.5, 0.99)
    }


def rate(counter: str, by: str) -> dict[str, str]:
    """What a counter gains a second, for each value of its labels."""
    legend = " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(","))
    return {f"sum by ({by}) (rate({counter}[1m]))": legend}


def quality(metric: str) -> Panel:
    """One measure of the three predictions, and of the live one's slices."""
    asked = f'updater_quality{{metric="{metric}", prediction=~"live|served|frozen"}}'
    return Panel(metric, {asked: "{{prediction}}, {{slice}}"})


def shadow(rival: str) -> dict[str, str]:
    """Log loss of the candidate, less a rival's over the same rows: above the gate's margin nothing more is published."""
    ours, theirs = (f'updater_quality{{metric="logloss", prediction="{name}"}}' for name in ("live", rival))
    return {f"{ours} - on (instance, slice) {theirs}": f"less {rival}, {{{{slice}}}}"}


ANSWERED = 'sum(rate(ranking_requests_total{route=~"/rank|/recommend", status="200"}[1m]))'
AGE = Panel("age of the served bundle", {"time() - ranking_bundle_created_seconds": "{{instance}}"}, "s")
EVENTS = Panel("events", rate("collector_events_total", "action"), "reqps")
ANSWERS = Panel("answers", {"freshet:ranking_requests:rate1m": "{{route}} {{status}}"}, "reqps")
LATENCY = Panel("time to answer", quantiles("ranking_seconds", "route", legend="{{route}}"), "s")
LAG = Panel("age of the last record read", {"freshet:last_record_age:max": "{{job}}, {{topic}}"}, "s")
LETTERS = Panel("dead letters", {"freshet:dead_letters:rate5m": "{{service}}, {{reason}}"}, "reqps")
PUBLISHED = Panel("bundles published", rate("updater_bundles_total", "kind"), "reqps")

DASHBOARDS: dict[str, tuple[tuple[Panel, ...], ...]] = {
    "overview": (
        (Panel("instances that answer", {"sum by (job) (up)": "{{job}}"}), AGE, Panel("alerts", {"ALERTS": "{{alertname}}"})),
        (EVENTS, ANSWERS, LATENCY),
        (quality("auc"), LAG, LETTERS),
    ),
    "freshness": (
        (AGE, Panel("stale moments", {f"freshet:stale:ratio_{span}": span for span in ("5m", "1h", "6h")}, "percentunit")),
        (
            Panel("1. from outcome to example", quantiles("joiner_delay_seconds", "kind", legend="{{kind}}"), "s"),
            Panel("2. to learn a window", quantiles("updater_window_seconds"), "s"),
            Panel("3. to publish", quantiles("updater_publish_seconds"), "s"),
            Panel("4. to take it into service", quantiles("ranking_swap_seconds", "kind", legend="{{kind}}"), "s"),
        ),
        (
            Panel("oldest example not learned yet", {"max by (task) (freshet_oldest_unlearned_seconds)": "{{task}}"}, "s"),
            Panel("last window", {"updater_window": "learned", "ranking_bundle_window": "served, {{instance}}"}),
            PUBLISHED,
            Panel("counters: time of a flush", quantiles("features_flush_seconds"), "s"),
        ),
    ),
    "learning": (
        (quality("auc"), quality("logloss"), quality("ece"), quality("group_auc")),
        (
            Panel("examples learned", rate("updater_examples_total", "kind"), "reqps"),
            Panel("examples not learned", rate("updater_skipped_total", "reason"), "reqps"),
            Panel("outcomes learned", rate("updater_outcomes_total", "action"), "reqps"),
            Panel("settled rows measured", {'updater_quality{metric=~"rows|positives"}': "{{metric}}"}),
        ),
        (
            PUBLISHED,
            Panel("size of a bundle", {"updater_bundle_bytes": "{{kind}}"}, "bytes"),
            Panel(
                "the gate",
                {
                    "updater_gate_open": "open",
                    "increase(updater_bundles_refused_total[10m])": "refused: {{reason}}",
                    "increase(updater_fallbacks_total[10m])": "fell back",
                },
            ),
            Panel("items encoded", {"rate(updater_items_encoded_total[1m])": "a second"}, "reqps"),
        ),
        (
            Panel("log loss of the candidate, less that of its rivals", shadow("served") | shadow("frozen"), "none"),
            Panel("canaries: from the last full bundle to the candidate", {"updater_canary_shift": "mean change"}),
            Panel("not tracked", {"increase(updater_untracked_total[10m])": "{{store}}"}),
        ),
        (
            Panel(
                "the breaker",
                {
                    "updater_learning_stopped": "learning is stopped",
                    "updater_still_inputs": "inputs that stand still",
                    "updater_suspect_items": "items that bots push",
                },
            ),
            Panel("windows skipped", rate("updater_windows_skipped_total", "reason"), "reqps"),
            Panel("drift told of", {"increase(updater_drift_total[10m])": "{{detector}}, {{watched}}"}),
        ),
        (
            Panel(
                "challengers: log loss gained over the champion", {"updater_challenger_gain": "{{challenger}}, {{bound}}"}, "none"
            ),
            Panel("challengers: lists compared", {"updater_challenger_lists": "{{challenger}}"}),
            Panel(
                "challengers: promoted, held back",
                {
                    "updater_challenger_promotions_total": "promoted",
                    "updater_challenger_held > 0": "{{challenger}}: {{guard}}",
                },
            ),
        ),
    ),
    "serving": (
        (
            ANSWERS,
            LATENCY,
            Panel("requests in work", {"ranking_in_work": "{{instance}}"}),
            Panel("answers not in the best order", {f"sum(rate(ranking_explored_total[1m])) / {ANSWERED}": "share"}, "percentunit"),
        ),
        (
            Panel(
                "candidates",
                {
                    "sum(rate(ranking_candidates_total[1m]))": "scored",
                    "sum(rate(ranking_unknown_items_total[1m]))": "unknown to the bundle",
                },
                "reqps",
            ),
            Panel("answers without counters", {"freshet:ranking_degraded:ratio_1m": "share"}, "percentunit"),
            Panel("impressions", rate("ranking_impressions_total", "result"), "reqps"),
            Panel("impressions that wait for Kafka", {"ranking_impressions_waiting": "{{instance}}"}),
        ),
        (
            Panel("bundles taken into service", rate("ranking_swaps_total", "kind"), "reqps"),
            Panel("time for which a swap holds up requests", quantiles("ranking_apply_seconds"), "s"),
            Panel("bundles refused", {"increase(ranking_bundles_refused_total[10m])": "{{code}}, {{instance}}"}),
            Panel("the storage did not answer", {"rate(ranking_storage_errors_total[1m])": "{{instance}}"}, "reqps"),
        ),
    ),
    "stream": (
        (
            EVENTS,
            Panel("the collector's answers", rate("collector_requests_total", "route, status"), "reqps"),
            Panel("time to answer", quantiles("collector_request_seconds", "route", legend="{{route}}"), "s"),
            Panel("bytes that wait for Kafka", {"collector_bytes_in_flight": "{{instance}}"}, "bytes"),
        ),
        (
            Panel("events counted", rate("features_events_total", "view"), "reqps"),
            Panel(
                "left out of the counters",
                {
                    "sum by (reason) (rate(features_excluded_total[1m]))": "{{reason}}",
                    "sum by (topic) (rate(features_missed_total[1m]))": "missed: {{topic}}",
                },
                "reqps",
            ),
            Panel(
                "rows",
                {
                    "sum by (view) (rate(features_written_total[1m]))": "written, {{view}}",
                    "sum by (view) (rate(features_fetched_total[1m]))": "fetched, {{view}}",
                },
                "reqps",
            ),
            Panel("rows in memory", {"sum by (view) (features_rows)": "{{view}}"}),
        ),
        (
            Panel("examples", rate("joiner_examples_total", "kind"), "reqps"),
            Panel("outcomes that no impression explains", rate("joiner_unmatched_total", "reason"), "reqps"),
            Panel("impressions that wait", {"sum by (instance) (joiner_waiting_impressions)": "{{instance}}"}),
            Panel("their bytes on disk", {"sum by (instance) (joiner_waiting_bytes)": "{{instance}}"}, "bytes"),
        ),
        (LAG, LETTERS, Panel("clock, less the broker's", {"joiner_clock_difference_seconds": "{{instance}}"}, "s")),
    ),
}


def dashboard(name: str) -> dict[str, Any]:
    """What Grafana reads."""
    panels: list[dict[str, Any]] = []
    for y, row in enumerate(DASHBOARDS[name]):
        width = WIDTH // len(row)
        for x, panel in enumerate(row):
            place = {"x": x * width, "y": y * HEIGHT, "w": width, "h": HEIGHT}
            panels.append({"id": len(panels) + 1, "gridPos": place, **_panel(panel)})
    return {
        "uid": f"freshet-{name}",
        "title": f"Freshet: {name}",
        "tags": ["freshet"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["freshet"], "title": "Freshet", "asDropdown": False, "keepTime": True}],
        "panels": panels,
    }


def _panel(panel: Panel) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": query, "legendFormat": legend}
        for i, (query, legend) in enumerate(panel.asked.items())
    ]
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": None if panel.unit in SIGNED else 0}, "overrides": []},
        "options": {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list", "placement": "bottom"}},
    }


def text(name: str) -> str:
    """A dashboard's file."""
    return json.dumps(dashboard(name), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write every dashboard."""
    FOLDER.mkdir(exist_ok=True)
    for name in DASHBOARDS:
        (FOLDER / f"{name}.json").write_text(text(name))


if __name__ == "__main__":
    main()
