"""Dashboards and alerts ask only for what services export, and every alert is explained."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from infra.observability import dashboards
from tests.compose.exported import exported
from tests.compose.project import ROOT, services

FOLDER = ROOT / "infra" / "observability"
RULES = [group for file in sorted((FOLDER / "rules").glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]]
ALERTS = {rule["alert"]: rule for group in RULES for rule in group["rules"] if "alert" in rule}
RECORDED = {rule["record"] for group in RULES for rule in group["rules"] if "record" in rule}
PROMETHEUS_OWN = {"up", "ALERTS"}
WORDS = re.compile(
    r"(?<![:\w])(sum|avg|max|min|count|rate|increase|abs|absent|time|by|on|ignoring|or|and|unless|offset|bool|group_left|histogram_quantile|"
    r"avg_over_time|sum_over_time|count_over_time)(?![:\w])"
)
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABELS = {"action", "bound", "challenger", "code", "detector", "guard", "kind", "metric", "partition", "prediction", "reason"}
LABELS |= {"result", "route", "service", "signal", "slice", "status", "store", "task", "topic", "view", "watched"}
"""Of all metrics: each has as many values as the code, the settings or the partitions count out, however large the shop is."""
IDENTITY = re.compile(r"id$|user|item|request|version|bundle|session|trace|host|instance")


def asked(query: str) -> set[str]:
    """The metrics that a query names."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on|ignoring|group_left)\s*\([^)]*\)|offset \w+", " ", query)
    return {name for name in NAME.findall(WORDS.sub(" ", bare)) if not re.fullmatch(r"e\d+", name)}


def matched(query: str) -> Iterator[tuple[str, str]]:
    """Each metric with each label that its selector names."""
    for name, selector in re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}", query):
        yield from ((name, label) for label in re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector))


QUERIES = [query for rows in dashboards.DASHBOARDS.values() for row in rows for panel in row for query in panel.asked]
EXPRESSIONS = [rule["expr"] for group in RULES for rule in group["rules"]]


@pytest.mark.parametrize("query", [*QUERIES, *EXPRESSIONS])
def test_a_query_asks_for_metrics_and_labels_that_a_service_exports(query: str) -> None:
    known = exported()
    assert asked(query)
    assert asked(query) <= known.keys() | RECORDED | PROMETHEUS_OWN
    for name, label in matched(query):
        assert label in known.get(name, set()) | {"job", "instance", "route"}, f"{name} has no label {label}"


def test_no_label_grows_with_the_shop() -> None:
    assert set().union(*exported().values()) == LABELS
    assert not [label for label in LABELS if IDENTITY.search(label)]


def test_the_reader_of_queries_finds_names_and_only_these() -> None:
    query = 'sum by (le, route) (rate(a_bucket{x="b"}[1m])) / on () group_left () max(c offset 5m) > 0.1 or absent(up{job="d"})'
    assert asked(query) == {"a_bucket", "c", "up"}
    assert list(matched(query)) == [("a_bucket", "x"), ("up", "job")]


@pytest.mark.parametrize("name", dashboards.DASHBOARDS)
def test_a_dashboards_file_is_what_the_code_says(name: str) -> None:
    written = (FOLDER / "dashboards" / f"{name}.json").read_text()
    assert written == dashboards.text(name), "run: python -m infra.observability.dashboards"
    assert {panel["datasource"]["uid"] for panel in json.loads(written)["panels"]} == {_source()["uid"]}


def _source() -> dict[str, str]:
    source: dict[str, str] = yaml.safe_load((FOLDER / "grafana/datasources/prometheus.yml").read_text())["datasources"][0]
    return source


def test_the_five_dashboards_are_there() -> None:
    assert {path.stem for path in (FOLDER / "dashboards").glob("*.json")} == set(dashboards.DASHBOARDS)
    assert set(dashboards.DASHBOARDS) == {"overview", "freshness", "learning", "serving", "stream"}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_has_a_runbook_entry(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["runbook"] == f"OPERATIONS.md#{name.lower()}"
    assert f"\n### {name}\n" in (FOLDER / "OPERATIONS.md").read_text()


def test_the_runbook_explains_no_alert_that_is_not_there() -> None:
    explained = re.findall(r"^### (\w+)$", (FOLDER / "OPERATIONS.md").read_text(), re.MULTILINE)
    assert explained == list(ALERTS)


def test_prometheus_looks_at_every_service_of_ours_at_its_port() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    targets = {job["job_name"]: job["dns_sd_configs"][0]["port"] for job in config["scrape_configs"] if "dns_sd_configs" in job}
    ports = {name: service["build"]["args"]["PORT"] for name, service in services().items() if "PORT" in _arguments(service)}
    assert targets == {("updater" if name == "history" else name): port for name, port in ports.items()}


def _arguments(service: dict[str, dict[str, dict[str, object]]]) -> dict[str, object]:
    return service.get("build", {}).get("args", {})


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not on PATH: the rules' own tests did not run")
@pytest.mark.parametrize("command", [("check", "rules"), ("test", "rules")])
def test_promtool_passes_the_rules(command: tuple[str, ...]) -> None:
    files: list[Path] = sorted((FOLDER / ("rules" if command[0] == "check" else "tests")).glob("*.yml"))
    done = subprocess.run(["promtool", *command, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_tests_say_in_which_order_the_groups_are_evaluated() -> None:
    said = yaml.safe_load((FOLDER / "tests" / "alerts.yml").read_text())["group_eval_order"]
    assert sorted(said) == sorted(group["name"] for group in RULES)
    recording = [group["name"] for group in RULES if any("record" in rule for rule in group["rules"])]
    assert set(said[: len(recording)]) == set(recording)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_a_test_in_which_it_fires(name: str) -> None:
    cases = yaml.safe_load((FOLDER / "tests" / "alerts.yml").read_text())["tests"]
    assert any(case["alertname"] == name and case["exp_alerts"] for one in cases for case in one["alert_rule_test"])
