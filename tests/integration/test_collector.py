"""The collector as a process of its own, on a real broker."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.kafka import deliver, partition_for, producer
from shared.settings import Settings
from tests.collector import Collector, collecting, read_all
from tests.conftest import Engines, alter_topic

pytestmark = pytest.mark.engines

VIEW = {"event_id": "e1", "user_id": "ana", "item_id": "tea", "action": "view"}


@pytest.fixture
def collector(environment: dict[str, str], tmp_path: Path) -> Iterator[Collector]:
    with collecting(environment, tmp_path, FRESHET_COLLECTOR_BODY_BYTES="65536") as running:
        yield running


def _post(collector: Collector, path: str, value: Any, **options: Any) -> httpx.Response:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return httpx.post(collector.url + path, content=content, timeout=30, **options)


def _until_something_is_in_flight(collector: Collector) -> None:
    while collector.metric("collector_bytes_in_flight") == 0:
        time.sleep(0.01)


def _behaviour(settings: Settings) -> dict[tuple[int, int], dict[str, Any]]:
    return {place: json.loads(value) for place, value in asyncio.run(read_all(settings, "behaviour")).items()}


def test_the_answer_says_where_each_event_stands_in_the_order_sent(collector: Collector, fresh_settings: Settings) -> None:
    events = [{**VIEW, "event_id": f"e{n}", "user_id": f"user-{n % 5}"} for n in range(40)]
    answer = _post(collector, "/events", events).json()["accepted"]
    assert [one["event_id"] for one in answer] == [event["event_id"] for event in events]
    assert [one["partition"] for one in answer] == [partition_for(event["user_id"], 4) for event in events]
    stored = _behaviour(fresh_settings)
    assert {one["event_id"]: stored[one["partition"], one["offset"]]["event_id"] for one in answer} == {
        f"e{n}": f"e{n}" for n in range(40)
    }
    assert len(stored) == 40


def test_an_event_is_stamped_by_an_item_that_was_accepted_just_before(collector: Collector, fresh_settings: Settings) -> None:
    tea = {"item_id": "tea", "category": "drinks", "brand": "leaf", "price": 3.5}
    accepted = _post(collector, "/items", tea).json()["accepted"]
    assert accepted == [{"partition": partition_for("tea", 4), "offset": 0, "item_id": "tea"}]
    [place] = _post(collector, "/events", VIEW).json()["accepted"]
    stored = _behaviour(fresh_settings)[place["partition"], place["offset"]]
    assert (stored["category"], stored["brand"], stored["price"]) == ("drinks", "leaf", 3.5)
    assert stored["time"].endswith("Z")


def test_a_second_collector_knows_the_catalogue_before_it_is_ready(
    collector: Collector, environment: dict[str, str], fresh_settings: Settings, tmp_path: Path
) -> None:
    lines = "\n".join(json.dumps({"item_id": f"item-{n}", "price": float(n)}) for n in range(500))
    assert _post(collector, "/items", lines.encode()).status_code == 200
    (tmp_path / "second").mkdir()
    with collecting(environment, tmp_path / "second") as second:
        answer = _post(second, "/events", [{**VIEW, "user_id": f"u{n % 2}", "item_id": f"item-{n}"} for n in range(1, 500)]).json()[
            "accepted"
        ]
    stored = _behaviour(fresh_settings)
    assert [stored[one["partition"], one["offset"]]["price"] for one in answer] == list(range(1, 500))


def test_a_wrong_event_in_a_list_keeps_the_whole_list_out(collector: Collector, fresh_settings: Settings) -> None:
    response = _post(collector, "/events", [VIEW, VIEW, {**VIEW, "pice": 3}])
    assert response.status_code == 422
    assert (response.json()["index"], response.json()["field"]) == (2, "pice")
    assert "did you mean `price`?" in response.json()["detail"]
    assert _post(collector, "/events", [VIEW, {**VIEW, "time": "2100-01-01T00:00:00Z"}]).json()["index"] == 1
    assert _behaviour(fresh_settings) == {}


def test_what_is_no_json_and_what_is_too_large_have_their_own_answers(collector: Collector) -> None:
    assert _post(collector, "/events", b"event_id=e1").status_code == 400
    large = json.dumps([VIEW] * 1000).encode()
    assert _post(collector, "/events", large).status_code == 413
    parts = (large[n : n + 1000] for n in range(0, len(large), 1000))  # without a length in the header
    response = httpx.post(collector.url + "/events", content=parts, timeout=30)
    assert response.status_code == 413
    assert "send the list in parts" in response.json()["detail"]
    assert collector.metric('collector_requests_total{route="events",status="413"}') == 2
    assert collector.metric("collector_bytes_in_flight") == 0


def test_a_record_of_items_that_is_no_item_is_kept_and_does_no_harm(collector: Collector, fresh_settings: Settings) -> None:
    async def spoil() -> None:
        async with producer(fresh_settings) as sender:
            await deliver(sender, "items", b"\xff", key=b"soap")

    asyncio.run(spoil())
    for _ in range(100):
        letters = [json.loads(value) for value in asyncio.run(read_all(fresh_settings, "dead-letters")).values()]
        if letters:
            break
    assert [(one["service"], one["reason"], one["origin"][0]) for one in letters] == [("collector", "undecodable", "items")]
    assert _post(collector, "/events", VIEW).status_code == 200


def test_actions_of_the_shops_own_do_not_multiply_the_metrics(collector: Collector) -> None:
    assert _post(collector, "/events", [{**VIEW, "action": f"own-{n}"} for n in range(30)] + [VIEW]).status_code == 200
    assert collector.metric('collector_events_total{action="other"}') == 30
    assert collector.metric('collector_events_total{action="view"}') == 1


def test_a_record_that_kafka_refuses_costs_one_503_and_a_new_producer(collector: Collector, fresh_settings: Settings) -> None:
    asyncio.run(alter_topic(fresh_settings, "behaviour", "max.message.bytes", "300"))
    refused = _post(collector, "/events", {**VIEW, "query": "x" * 1000})
    assert refused.status_code == 503
    assert "Kafka refused a record" in refused.json()["detail"]
    asyncio.run(alter_topic(fresh_settings, "behaviour", "max.message.bytes", str(8 << 20)))
    answers = [_post(collector, "/events", VIEW)]
    while answers[-1].status_code == 503 and len(answers) < 100:
        time.sleep(0.1)
        answers.append(_post(collector, "/events", VIEW))
    assert answers[-1].status_code == 200
    assert collector.metric("collector_producers_replaced_total") == 1
    assert collector.metric("collector_bytes_in_flight") == 0
    assert len(_behaviour(fresh_settings)) == 1


def test_sigterm_finishes_what_is_in_flight_and_exits_0(collector: Collector, engines: Engines, fresh_settings: Settings) -> None:
    async def drain() -> tuple[int, int]:
        async with httpx.AsyncClient(base_url=collector.url, timeout=30) as client:
            os.kill(engines.kafka.pid, signal.SIGSTOP)
            try:
                answer = asyncio.create_task(client.post("/events", json=[VIEW]))
                await asyncio.to_thread(_until_something_is_in_flight, collector)
                status = asyncio.create_task(asyncio.to_thread(collector.terminate))
                await asyncio.sleep(0.3)
            finally:
                os.kill(engines.kafka.pid, signal.SIGCONT)
            return (await answer).status_code, await status

    assert asyncio.run(drain()) == (200, 0)
    assert len(_behaviour(fresh_settings)) == 1


def test_it_waits_for_a_kafka_that_is_away_and_is_alive_meanwhile(
    environment: dict[str, str], engines: Engines, tmp_path: Path
) -> None:
    engines.kafka.stop()
    late = Collector(environment, tmp_path / "log")
    try:
        late.start(ready=False)
        response = _post(late, "/events", VIEW)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert httpx.get(late.url + "/readyz").status_code == 503
        engines.kafka.start()
        late.wait("/readyz")
        assert _post(late, "/events", VIEW).status_code == 200
    finally:
        late.kill()


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("FRESHET_PARTITIONS", "7", "Topic behaviour: partitions is 4, expected 7"),
        ("FRESHET_COLLECTOR_PORT", "0", "FRESHET_COLLECTOR_PORT: Input should be greater than or equal to 1"),
        ("FRESHET_COLLECTOR_PORT", "taken", "change FRESHET_COLLECTOR_PORT"),
    ],
)
def test_it_does_not_start_on_what_differs_and_says_so(
    environment: dict[str, str], engines: Engines, variable: str, value: str, says: str
) -> None:
    value = str(engines.kafka.ports[0]) if value == "taken" else value
    variables = {**os.environ, **environment, "FRESHET_COLLECTOR_PORT": "18987", variable: value}
    ended = subprocess.run([sys.executable, "-m", "services.collector"], env=variables, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert says in json.loads(ended.stderr.splitlines()[-1])["detail"]
