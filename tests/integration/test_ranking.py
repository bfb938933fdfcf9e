"""Ranking as a process, with the real engines."""

import asyncio
from pathlib import Path

import msgspec
import numpy as np
import pytest
import redis

from shared.bundles.manifest import version
from shared.bundles.reader import BundleReader
from shared.features.plans import CATALOGUE
from shared.kafka import consumer, deliver, partition_for, producer, started
from shared.keys import key, keys
from shared.messages import BundleAnnouncement, Impression
from shared.model.scorer import Scorer
from shared.settings import Settings
from tests.bundles import Publisher, a_key
from tests.features import declared_plans
from tests.ranking import a_publisher, fill_store, running

pytestmark = pytest.mark.engines
BOOST = {"i9": 2.0}


@pytest.fixture
def publisher(fresh_settings: Settings) -> Publisher:
    fill_store(fresh_settings, stock={"i3": 0.0, "i4": 5.0})
    boost_items(fresh_settings)
    made = a_publisher(fresh_settings)
    made.full()
    return made


def boost_items(settings: Settings) -> None:
    plan = next(plan for plan in declared_plans() if plan.view == CATALOGUE)
    with redis.Redis.from_url(settings.redis) as valkey:
        for item, boost in BOOST.items():
            row = np.frombuffer(bytearray(valkey.get(plan.key(item))), plan.dtype)
            row["boost"] = boost
            valkey.set(plan.key(item), row.tobytes())


def offline(publisher: Publisher) -> Scorer:
    return BundleReader(publisher.storage, a_key().public_key()).load(publisher.pointer())


class Logged:
    """An impression's features."""

    def __init__(self, impression: Impression) -> None:
        self.user = np.frombuffer(impression.user_features, np.float32)
        self.candidate = np.frombuffer(impression.candidate_features, np.float32).reshape(len(impression.items), -1)
        self.history = np.frombuffer(impression.history, np.uint64)
        self.history_weights = np.frombuffer(impression.history_weights, np.float32)


async def impressions(settings: Settings, count: int) -> list[tuple[int, Impression]]:
    client = await started(consumer(settings, Impression.topic))
    try:
        found = []
        while len(found) < count:
            batches = await client.getmany(timeout_ms=500)
            found += [(r.partition, msgspec.msgpack.decode(r.value, type=Impression)) for rs in batches.values() for r in rs]
        return found
    finally:
        await client.stop()


async def test_it_ranks_and_logs_what_it_showed(fresh_settings: Settings, publisher: Publisher, tmp_path: Path) -> None:
    with running(fresh_settings, tmp_path, log_level="debug") as service:
        items = [f"i{n}" for n in range(50)] + ["never seen"]
        answer = service.with_counters(lambda: service.rank("u3", items, limit=20))
        assert answer["bundle"] == version(0, 1)
        assert [item["position"] for item in answer["items"]] == list(range(20))
        scores = [item["score"] for item in answer["items"]]
        assert scores == sorted(scores, reverse=True)

        [*_, (partition, shown)] = await impressions(fresh_settings, 1)
        assert partition == partition_for("u3", fresh_settings.partitions)
        assert (shown.request_id, shown.bundle) == (answer["request_id"], answer["bundle"])
        assert list(shown.items) == [item["item_id"] for item in answer["items"]]
        again = offline(publisher).score(Logged(shown), keys(shown.items), key("u3"), shown.time)[:, 0]
        np.testing.assert_allclose(again, scores, atol=1e-6)
        np.testing.assert_allclose(np.frombuffer(shown.scores, np.float32), scores, atol=1e-7)
        assert len(shown.history) > 0
        service.until(lambda: service.metric('ranking_impressions_total{result="acknowledged"}') >= 1)
        assert answer["request_id"] in {line["request_id"] for line in service.lines("answered")}
        assert service.stop() == 0


async def test_explored_orders_are_logged_with_their_chances(
    fresh_settings: Settings, publisher: Publisher, tmp_path: Path
) -> None:
    own = {"ranking_explore": "plackett-luce", "ranking_explore_temperature": 1.0}
    with running(fresh_settings, tmp_path, **own) as service:
        answers = {answer["request_id"]: answer for answer in (service.rank(limit=2) for _ in range(20))}
        recommended = service.post("/recommend", {"user_id": "u2", "limit": 200})
        explained = service.rank(door="/explain")
        assert 0 < service.metric("ranking_explored_total") <= 21
        assert service.stop() == 0  # all that was shown has arrived
    firsts = {answer["items"][0]["item_id"] for answer in answers.values()}
    assert len(firsts) > 1
    scores = [item["score"] for item in explained["items"]]
    assert scores == sorted(scores, reverse=True)
    assert [item["item_id"] for item in recommended["items"]][-1] == "i3"  # sold out
    logged = [shown for _, shown in await impressions(fresh_settings, 21)]
    assert {shown.request_id for shown in logged} == {*answers, recommended["request_id"]}  # an explanation counts as nothing shown
    for shown in logged:
        chances = np.frombuffer(shown.propensities, np.float32)
        assert (shown.explored, len(chances)) == ("plackett-luce", len(shown.items))
        if shown.request_id in answers and not shown.degraded:
            assert list(shown.items) == [item["item_id"] for item in answers[shown.request_id]["items"]]
            first, second = np.frombuffer(shown.scores, np.float32)
            assert chances[1] / (1 - chances[1]) == pytest.approx(second / (first / chances[0] - first - second), rel=1e-3)


async def test_what_was_answered_before_the_end_is_delivered(
    fresh_settings: Settings, publisher: Publisher, tmp_path: Path
) -> None:
    with running(fresh_settings, tmp_path) as service:
        shown = {service.rank()["request_id"] for _ in range(30)}
        assert service.stop() == 0
    assert shown <= {impression.request_id for _, impression in await impressions(fresh_settings, 30)}


def test_wrong_questions_are_answered_with_the_field(fresh_settings: Settings, publisher: Publisher, tmp_path: Path) -> None:
    with running(fresh_settings, tmp_path, ranking_body_bytes=4096) as service:
        assert service.rank(items=["i1", "i1"], status=422)["field"] == "candidates"
        assert service.post("/rank", {"user_id": "u1"}, 422)["field"] == "candidates"
        wrong = {"user_id": "u1", "candidates": [{"item_id": "i1"}, {"item_id": "i2", "price": "free"}]}
        assert service.post("/rank", wrong, 422)["field"] == "candidates[1].price"
        assert service.rank(status=422, at="2017-05-03T12:00:00Z")["field"] == "at"
        assert service.rank(status=422, colour="red")["field"] == "colour"
        named = {"user_id": "u1", "candidates": [{"item_id": "i1", "context": {"banner": 1}}]}
        assert service.post("/rank", named, 422)["field"] == "candidates[0].context.banner"
        broken = service.client.post("/rank", content=b"{")
        assert (broken.status_code, "not JSON" in broken.json()["detail"]) == (400, True)
        assert service.client.post("/rank", content=b" " * 5000).status_code == 413
        assert service.client.get("/rank").status_code == 405
        assert service.client.get("/livez").status_code == 200


def test_the_past_is_ranked_as_of_then(fresh_settings: Settings, publisher: Publisher, tmp_path: Path) -> None:
    with running(fresh_settings, tmp_path, clock="event") as service:
        early, late = (
            service.with_counters(lambda at=at: service.rank("u1", [f"i{n}" for n in range(10)], at=at, door="/explain"))
            for at in ("2023-11-14T22:20:00Z", "2023-12-14T22:20:00Z")
        )
        assert early["items"][0]["values"]["user.purchases_7d"] > late["items"][0]["values"]["user.purchases_7d"] > 0


def test_it_recommends_from_all_items_in_stock_first_by_score_times_boost(
    fresh_settings: Settings, publisher: Publisher, tmp_path: Path
) -> None:
    with running(fresh_settings, tmp_path) as service:
        answer = service.post("/recommend", {"user_id": "u2", "limit": 200})
        shown = [item["item_id"] for item in answer["items"]]
        assert len(set(shown)) == 200
        assert shown[-1] == "i3"
        scores = {item["item_id"]: item["score"] for item in answer["items"][:-1]}
        assert shown[:-1] == sorted(scores, key=lambda item: -scores[item] * BOOST.get(item, 1))
        assert shown[:-1] != sorted(scores, key=lambda item: -scores[item])


def test_it_says_why(fresh_settings: Settings, publisher: Publisher, tmp_path: Path) -> None:
    with running(fresh_settings, tmp_path, clock="event") as service:
        candidates = [{"item_id": "i1", "price": 2.5, "context": {"display": 1}}, {"item_id": "i9", "price": 1}]
        body = {"user_id": "u1", "at": "2023-11-15T10:00:00Z", "candidates": candidates}
        answer = service.with_counters(lambda: service.post("/explain", body))
        first = answer["items"][0]
        assert (answer["bundle"], answer["window"]) == (version(0, 1), 0)
        assert set(first["contributions"]) >= {"user", "item", "text", "category_brand", "user_counters", "pair", "context", "time"}
        assert any(abs(value) > 1e-3 for value in first["contributions"].values())
        by_id = {item["item_id"]: item for item in answer["items"]}
        assert by_id["i1"]["values"]["item.log_price"] == pytest.approx(np.log1p(2.5))
        assert by_id["i1"]["values"]["context.display"] == 1
        ranked = service.with_counters(lambda: service.post("/rank", body | {"reasons": True}))
        assert ranked["items"][0]["contributions"] == first["contributions"]


async def test_it_follows_announcements_pins_and_restores(fresh_settings: Settings, publisher: Publisher, tmp_path: Path) -> None:
    with running(fresh_settings, tmp_path, ranking_poll_seconds=30) as service:
        sender = await started(producer(fresh_settings))
        manifest = publisher.delta(new_items=2)
        announcement = publisher.announcement(manifest)
        service.until(lambda: "swapped" in service.log.read_text())
        await asyncio.sleep(1.0)  # the consumer may still be connecting; nothing tells
        await deliver(sender, BundleAnnouncement.topic, msgspec.json.encode(announcement), partition=0)
        await sender.stop()
        service.until(lambda: service.rank(items=["new1-0"])["bundle"] == version(1, 1), seconds=10)
        assert service.metric('ranking_swaps_total{kind="delta"}') == 1
    with running(fresh_settings, tmp_path) as service:
        assert service.rank()["bundle"] == version(1, 1)
        first = publisher.pointer()
        publisher.storage.pin(msgspec.structs.replace(first, version=version(0, 1), deltas=()))
        service.until_serving(version(0, 1))
        publisher.delta()
        await asyncio.sleep(1.0)
        assert service.rank()["bundle"] == version(0, 1)
        publisher.storage.unpin()
        service.until_serving(version(2, 1))
        publisher.full()
        service.until_serving(version(3, 1))


def test_above_its_concurrency_it_sheds(fresh_settings: Settings, publisher: Publisher, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with running(fresh_settings, tmp_path, ranking_concurrency=1) as service:
        body = {"user_id": "u1", "candidates": [{"item_id": f"i{n}"} for n in range(200)]}
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: service.client.post("/rank", json=body), range(100)))
        statuses = {answer.status_code for answer in answers}
        assert statuses == {200, 503}
        assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 503)
