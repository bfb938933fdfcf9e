"""API keys and limits at both doors, as processes on real engines."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from services.shopper.doors import Doors, Refused
from shared.messages import Item
from shared.settings import Settings
from tests.collector import Collector, collecting
from tests.ranking import a_publisher, fill_store, running

pytestmark = pytest.mark.engines

OLD, NEW, SHOWN = "old-key-0123456789", "new-key-0123456789", "shown-key-0123456789"
VIEW = {"event_id": "e1", "user_id": "ana", "item_id": "tea", "action": "view"}
QUESTION = {"user_id": "ana", "candidates": [{"item_id": "i1"}]}


def post(url: str, body: Any, key: str = "") -> httpx.Response:
    return httpx.post(url, json=body, headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=30)


def statuses(url: str, body: Any, *keys: str) -> list[int]:
    return [post(url, body, key).status_code for key in keys]


def test_the_collector_asks_for_keys(environment: dict[str, str], tmp_path: Path) -> None:
    with collecting(environment, tmp_path, FRESHET_COLLECTOR_KEYS=f"events:{OLD} events+items:{NEW}") as collector:
        assert statuses(collector.url + "/events", VIEW, OLD, NEW, "", "guessed") == [200, 200, 401, 401]
        assert statuses(collector.url + "/items", {"item_id": "tea"}, OLD, NEW) == [403, 200]
        unknown, scope = post(collector.url + "/events", VIEW), post(collector.url + "/items", {"item_id": "tea"}, OLD)
        assert unknown.json() == {"detail": "Send a valid key: Authorization: Bearer KEY."}
        assert unknown.headers["www-authenticate"] == "Bearer"
        assert scope.json() == {"detail": "This key may not do this: it lacks the scope items."}
        assert httpx.get(collector.url + "/readyz").status_code == 200
        assert collector.metric('collector_requests_total{route="events",status="401"}') == 3


def test_the_shopper_sends_its_key(environment: dict[str, str], tmp_path: Path) -> None:
    async def send(url: str, key: str) -> None:
        async with aiohttp.ClientSession() as session:
            await Doors(session, url, "", key).items([Item(item_id="tea", time=datetime.now(UTC))])

    with collecting(environment, tmp_path, FRESHET_COLLECTOR_KEYS=f"items:{OLD}") as collector:
        asyncio.run(send(collector.url, OLD))
        with pytest.raises(Refused, match="401"):
            asyncio.run(send(collector.url, ""))


def test_the_collector_holds_each_key_to_its_rate(environment: dict[str, str], tmp_path: Path) -> None:
    keys = f"events:{OLD} events:{NEW}"
    with collecting(environment, tmp_path, FRESHET_COLLECTOR_KEYS=keys, FRESHET_COLLECTOR_RATE="0.1") as collector:
        assert statuses(collector.url + "/events", VIEW, OLD, NEW, OLD) == [200, 200, 429]
        late = post(collector.url + "/events", VIEW, NEW)
        assert late.status_code == 429
        assert 1 <= int(late.headers["retry-after"]) <= 10
        assert "Too many requests" in late.json()["detail"]


def test_a_collector_with_a_key_that_is_none_does_not_start(environment: dict[str, str], tmp_path: Path) -> None:
    collector = Collector(environment | {"FRESHET_COLLECTOR_KEYS": "events:short"}, tmp_path / "log")
    with pytest.raises(AssertionError, match="API key 1 is not SCOPES:KEY"):
        collector.start()
    assert "short" not in collector.log.read_text().partition("API key")[2]


def test_ranking_asks_for_keys(fresh_settings: Settings, tmp_path: Path) -> None:
    fill_store(fresh_settings)
    a_publisher(fresh_settings).full()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "freshet_ranking_keys").write_text(f"rank:{OLD}\nexplain+rank:{NEW}\nrank:{SHOWN}\n")
    with running(fresh_settings, tmp_path, secrets=tmp_path / "secrets", ranking_rate=5) as service:
        assert statuses(service.url + "/rank", QUESTION, OLD, NEW, "", "guessed") == [200, 200, 401, 401]
        assert statuses(service.url + "/recommend", {"user_id": "ana"}, OLD, "") == [200, 401]
        assert statuses(service.url + "/explain", QUESTION, OLD, NEW, "") == [403, 200, 401]
        unknown = post(service.url + "/rank", QUESTION)
        assert unknown.json() == {"detail": "Send a valid key: Authorization: Bearer KEY."}
        assert unknown.headers["www-authenticate"] == "Bearer"
        answers = [post(service.url + "/rank", QUESTION, SHOWN) for _ in range(40)]
        assert {answer.status_code for answer in answers} == {200, 429}
        assert int(next(answer for answer in answers if answer.status_code == 429).headers["retry-after"]) == 1
