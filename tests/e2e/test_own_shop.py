"""A shop of one's own, by the README's commands: import its past, start, send events, ask, and be answered by what was learned.

The engines are there already, and let nobody in without TLS and a login; those that the stack brings are played on by the demo.
"""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local import engines
from infra.local.ports import free_block
from tests.e2e.stack import freshet, stopped_after, variables
from tests.locked import PASSWORD, SHOP, Certificates, closed_engines, tls_door
from tests.updaters import until

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]
KINDS = ("tea", "milk", "bread", "rice")


def the_past(folder: Path) -> None:
    """Sixty items and a month in which each of twenty users prefers one kind."""
    dice, start = random.Random(1), datetime(2026, 1, 1, tzinfo=UTC)
    items = [
        {
            "item_id": f"p{n}",
            "time": start.isoformat(),
            "title": f"{KINDS[n % 4]} {n}",
            "category": KINDS[n % 4],
            "price": 1 + n % 7,
        }
        for n in range(60)
    ]
    events = []
    for n in range(2_000):
        user = dice.randrange(20)
        item = 4 * dice.randrange(15) + user % 4 if dice.random() < 0.8 else dice.randrange(60)
        action, time = dice.choice(("view", "cart", "purchase")), start + timedelta(minutes=20 * n)
        named = {"event_id": f"e{n}", "user_id": f"u{user}", "item_id": f"p{item}"}
        events.append(named | {"action": action, "time": time.isoformat(), "price": 1 + item % 7})
    for name, lines in (("items", items), ("behaviour", events)):
        (folder / f"{name}.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_shop_is_plugged_in_by_four_commands_on_engines_behind_tls_and_logins(tmp_path: Path) -> None:
    certificates, first = Certificates(tmp_path), free_block(engines.S3_PORTS + 1)
    storage = engines.seaweed(tmp_path / "s3", first)
    with closed_engines(tmp_path, certificates) as at, tls_door(certificates, first + engines.S3_PORTS, first):
        login = {"FRESHET_KAFKA_TLS": "true", "FRESHET_KAFKA_AUTH": "scram", "FRESHET_KAFKA_USER": SHOP}
        trusted = {"FRESHET_CA": str(certificates.authority), "AWS_CA_BUNDLE": str(certificates.authority)}
        theirs = {
            "FRESHET_KAFKA": f"localhost:{at.login}",
            "FRESHET_KAFKA_PASSWORD": PASSWORD,
            "FRESHET_REDIS": at.redis,
            "FRESHET_S3": f"https://localhost:{first + engines.S3_PORTS}",
        }
        storage.start()
        try:
            plugged_in(tmp_path, variables(tmp_path / "state", **login, **trusted, **theirs, **engines.CREDENTIALS))
        finally:
            storage.stop()


def plugged_in(folder: Path, environment: dict[str, str]) -> None:
    """The README's commands, up to the answer of a model that learned what the shopper just bought."""
    the_past(folder)
    with stopped_after(environment):
        empty = freshet(environment, "up", "--empty")
        assert "wait for a first bundle" in " ".join(empty.stdout.split()), empty.stdout + empty.stderr
        imported = freshet(environment, "history", str(folder))
        assert imported.returncode == 0, imported.stdout + imported.stderr
        assert list((folder / "state" / "stack" / "updater" / "texts").iterdir()), "not where the updater looks for them"
        assert freshet(environment, "up").returncode == 0
        until(lambda: metric(environment, "collector", "collector_catalogue_items") == 60)
        until(lambda: metric(environment, "features", 'features_events_total{view="catalogue"}') == 60)

        answer = rank(environment, *(f"p{n}" for n in range(8)))
        assert {item["item_id"] for item in answer["items"]} == {f"p{n}" for n in range(8)}
        bought = {"event_id": "e", "request_id": answer["request_id"], "user_id": "u3", "item_id": "p0", "action": "purchase"}
        httpx.post(door(environment, "collector") + "/events", json=bought).raise_for_status()
        until(lambda: rank(environment, "p0")["window"] > answer["window"])
        assert not rank(environment, "p0")["degraded"]
        listed = freshet(environment, "bundles", "list")
        assert listed.returncode == 0, listed.stdout + listed.stderr


def door(environment: dict[str, str], service: str) -> str:
    return f"http://127.0.0.1:{environment[f'FRESHET_{service.upper()}_PORT']}"


def metric(environment: dict[str, str], service: str, name: str) -> float:
    """A sample of a service's; 0 where it shows none yet."""
    samples = (line.rsplit(" ", 1) for line in httpx.get(door(environment, service) + "/metrics").text.splitlines())
    return float(dict(line for line in samples if len(line) == 2).get(name, 0))


def rank(environment: dict[str, str], *items: str) -> Any:
    """What u3 is shown of these."""
    body = {"user_id": "u3", "candidates": [{"item_id": item} for item in items]}
    return httpx.post(door(environment, "ranking") + "/rank", json=body).raise_for_status().json()
