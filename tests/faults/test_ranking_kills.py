"""Engines are killed under ranking and it keeps answering; ranking is killed and comes back as it was."""

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from shared.bundles.manifest import version
from shared.bundles.signing import sign
from shared.messages import Impression
from shared.settings import Settings
from tests.bundles import Publisher, a_key
from tests.collector import read_all
from tests.conftest import Engines
from tests.faults import MARKS, ROUNDS
from tests.ranking import Service, a_publisher, fill_store, running, shop_model

pytestmark = MARKS

PLACES = ("ranking.prepared", "ranking.swapped")
"""Named points of a swap."""


@pytest.fixture
def publisher(fresh_settings: Settings) -> Publisher:
    fill_store(fresh_settings)
    made = a_publisher(fresh_settings)
    made.full()
    return made


def answers(service: Service, seconds: float) -> list[dict[str, object]]:
    """Ask for so long; every question must be answered."""
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        found.append(service.rank())
        time.sleep(0.02)
    return found


def test_killed_at_named_points_and_at_random_it_serves_the_pointer_when_it_is_back(
    fresh_settings: Settings, publisher: Publisher, tmp_path: Path
) -> None:
    """It is asked meanwhile, and waits for Kafka: what it showed is on the topic, killed or not."""
    chance, answered = random.Random(4), set[str]()
    waiting = {"ranking_impressions_wait": True, "ranking_impressions_seconds": 8.0}  # a busy machine is not a Kafka that is away

    def life(failpoint: str) -> None:
        with running(fresh_settings, tmp_path, failpoint=failpoint, **waiting) as service:
            assert service.rank()["bundle"] == publisher.pointer().version

            def trouble() -> None:
                publisher.delta(dense=chance.random() < 0.5)
                if not failpoint:
                    time.sleep(chance.uniform(0, 0.6))
                    service.kill()

            found, cut = service.asked_to_death(trouble)
            answered.update(found)
            assert cut > 0

    for place in (*PLACES, "") * ROUNDS:
        life(place)
    with running(fresh_settings, tmp_path) as service:
        assert service.rank()["bundle"] == publisher.pointer().version
        assert service.stop() == 0
    assert answered <= logged(fresh_settings)


def test_without_waiting_for_kafka_a_kill_loses_what_was_shown(
    fresh_settings: Settings, publisher: Publisher, engines: Engines, tmp_path: Path
) -> None:
    with running(fresh_settings, tmp_path) as service:
        os.kill(engines.kafka.pid, signal.SIGSTOP)
        shown = {service.rank()["request_id"] for _ in range(20)}
        service.kill()
        os.kill(engines.kafka.pid, signal.SIGCONT)
    assert shown - logged(fresh_settings)


def logged(settings: Settings) -> set[str]:
    """The requests whose impressions Kafka has."""
    values = asyncio.run(read_all(settings, Impression.topic)).values()
    return {msgspec.msgpack.decode(value, type=Impression).request_id for value in values}


def test_valkey_killed_it_answers_without_counters(
    fresh_settings: Settings, publisher: Publisher, engines: Engines, tmp_path: Path
) -> None:
    with running(fresh_settings, tmp_path, ranking_store_seconds=2.0) as service:  # a busy machine is not a store that is away
        assert not service.rank()["degraded"]
        engines.valkey.kill()
        found = answers(service, 2.0)
        assert all(answer["degraded"] for answer in found)
        assert service.metric("ranking_degraded_total") >= len(found)
        assert service.post("/recommend", {"user_id": "u1", "limit": 5})["degraded"]
        engines.valkey.start()
        service.until(lambda: not service.rank()["degraded"])
        assert [line["level"] for line in service.lines("store_away")] == ["warning"]


def test_without_going_on_without_the_store_it_would_not_answer(
    fresh_settings: Settings, publisher: Publisher, engines: Engines, tmp_path: Path
) -> None:
    with running(fresh_settings, tmp_path, without="store") as service:
        engines.valkey.kill()
        assert "Valkey did not answer" in service.rank(status=503)["detail"]


def test_seaweed_killed_it_keeps_its_bundle_and_goes_on_after(
    fresh_settings: Settings, publisher: Publisher, engines: Engines, tmp_path: Path
) -> None:
    with running(fresh_settings, tmp_path) as service:
        for round_ in range(2):
            engines.seaweed.kill()
            assert {answer["bundle"] for answer in answers(service, 2.0)} == {version(round_, 1)}
            service.until(lambda: service.metric("ranking_storage_errors_total") > 0)
            engines.seaweed.start()
            publisher.delta()
            service.until_serving(version(round_ + 1, 1))


def test_without_staying_where_it_is_it_would_fall_with_the_storage(
    fresh_settings: Settings, publisher: Publisher, engines: Engines, tmp_path: Path
) -> None:
    with running(fresh_settings, tmp_path, without="stay") as service:
        engines.seaweed.kill()
        assert service.process.wait(60) == 1
        engines.seaweed.start()


def test_kafka_killed_it_answers_and_the_impressions_arrive_after(
    fresh_settings: Settings, publisher: Publisher, engines: Engines, tmp_path: Path
) -> None:
    with running(fresh_settings, tmp_path, ranking_impressions_buffer=50) as service:
        service.rank()
        service.until(lambda: service.metric('ranking_impressions_total{result="acknowledged"}') == 1)
        engines.kafka.kill()
        found = [service.rank() for _ in range(80)]
        assert len(found) == 80
        publisher.delta()
        service.until_serving(version(1, 1))  # by the poll
        assert service.metric('ranking_impressions_total{result="dropped"}') >= 30
        engines.kafka.start()
        service.until(lambda: service.metric("ranking_impressions_waiting") == 0, 60)
        assert service.metric('ranking_impressions_total{result="failed"}') == 0
        assert service.metric('ranking_impressions_total{result="acknowledged"}') == 51


def test_memory_stays_bounded_while_kafka_is_dead(
    fresh_settings: Settings, publisher: Publisher, engines: Engines, tmp_path: Path
) -> None:
    largest, items = 4 << 20, [f"i{n}" for n in range(200)]
    with running(fresh_settings, tmp_path, ranking_impressions_bytes=largest) as service:
        service.rank(items=items)
        memory = psutil.Process(service.process.pid).memory_info
        before = memory().rss
        engines.kafka.kill()
        for _ in range(1_000):
            service.rank(items=items)
        assert service.metric('ranking_impressions_total{result="dropped"}') > 0
        assert service.metric("ranking_impressions_waiting") < 1_000
        assert memory().rss - before < 8 * largest
        engines.kafka.start()
        service.until(lambda: service.metric("ranking_impressions_waiting") == 0, 60)


@pytest.mark.parametrize("bound", [{"ranking_impressions_buffer": 50}, {"ranking_impressions_bytes": 1 << 20}])
def test_without_a_bound_what_waits_for_kafka_would_grow(
    fresh_settings: Settings, publisher: Publisher, engines: Engines, tmp_path: Path, bound: dict[str, int]
) -> None:
    items = [f"i{n}" for n in range(200)]
    with running(fresh_settings, tmp_path, without="bound", **bound) as service:
        engines.kafka.kill()
        for _ in range(200):
            service.rank(items=items)
        assert service.metric("ranking_impressions_waiting") == 200
        assert service.metric('ranking_impressions_total{result="dropped"}') == 0


def test_kafka_killed_a_service_that_waits_says_so(
    fresh_settings: Settings, publisher: Publisher, engines: Engines, tmp_path: Path
) -> None:
    more = {"ranking_impressions_wait": True, "ranking_impressions_seconds": 0.5}
    with running(fresh_settings, tmp_path, **more) as service:
        body = {"user_id": "u1", "candidates": [{"item_id": "i1"}]}
        service.until(lambda: service.client.post("/rank", json=body).status_code == 200)
        engines.kafka.kill()
        assert "did not acknowledge" in service.rank(status=503)["detail"]
        engines.kafka.start()


def test_bad_bundles_are_refused_and_the_old_one_serves(fresh_settings: Settings, publisher: Publisher, tmp_path: Path) -> None:
    with running(fresh_settings, tmp_path) as service:
        good = publisher.signer
        for seed, (code, spoil) in enumerate(SPOILERS.items(), 1):
            before = service.rank()["bundle"]
            spoil(publisher)
            service.until(lambda code=code: service.metric(f'ranking_bundles_refused_total{{code="{code}"}}') == 1)
            assert {answer["bundle"] for answer in answers(service, 0.5)} == {before}
            publisher.signer = good
            publisher.model = shop_model(seed)
            service.until_serving(publisher.full().version)
        assert [line["level"] for line in service.lines("bundle_refused")] == ["error"] * 4


def test_without_a_look_at_them_bad_bundles_would_serve(fresh_settings: Settings, publisher: Publisher, tmp_path: Path) -> None:
    with running(fresh_settings, tmp_path, without="look") as service:
        good = publisher.signer
        for seed, spoil in enumerate(SPOILERS.values(), 1):
            spoil(publisher)
            service.until(lambda: service.metric("ranking_bundle_window") == publisher.window)
            publisher.signer = good
            publisher.model = shop_model(seed)
            publisher.full()
            service.until(lambda: service.metric("ranking_bundle_window") == publisher.window)


def forged(publisher: Publisher) -> None:
    publisher.signer = a_key(2)
    publisher.full()


def corrupt(publisher: Publisher) -> None:
    manifest = publisher.delta(publish=False)
    blob = manifest.files["tables"].key("ranking")
    found = publisher.storage.objects.read(blob)
    weight = 8 + int.from_bytes(found.data[:8], "little")  # the first one, behind the header of safetensors
    spoiled = bytes([found.data[weight] ^ 1])
    publisher.storage.objects.replace(blob, found.data[:weight] + spoiled + found.data[weight + 1 :], found.etag)
    publisher.storage.move_latest(publisher.pointer())


def unknown_input(publisher: Publisher) -> None:
    manifest = publisher.full(publish=False)
    inputs = msgspec.structs.replace(manifest.inputs, user=("user.mood", *manifest.inputs.user[1:]))
    key = publisher.storage.manifest_key(manifest.version)
    publisher.storage.objects.delete(key)
    publisher.storage.put_manifest(sign(msgspec.structs.replace(manifest, inputs=inputs), publisher.signer))
    publisher.storage.move_latest(publisher.pointer())


def non_finite(publisher: Publisher) -> None:
    publisher.model.dense["bias"][0] = float("nan")
    publisher.delta()


SPOILERS = {"forged": forged, "corrupt": corrupt, "inputs": unknown_input, "non_finite": non_finite}
"""By the code that each is refused with."""
