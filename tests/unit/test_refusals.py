"""Both doors say no in the same way; what nobody meant to raise is counted as the service's own failure, and logged once."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client import REGISTRY

from services.collector import app as collector
from services.collector.budget import Budget
from services.collector.doors import Answer, EventDoor
from services.collector.stamp import Catalogue, Clock
from services.ranking.doors import Doors, FastPath
from shared.access import Access
from shared.errors import BadInput, BundleRefused, Denied, NotJson, StoreUnavailable, TooLarge
from shared.refusals import refused

ROUTES = {"collector": "/events", "ranking": "/rank"}
BODY = b'{"user_id": "u", "candidates": [{"item_id": "i"}]}'
Ask = Callable[..., Awaitable[httpx.Response]]


class Broken:
    """A door, and a ranker, with a mistake of our own inside."""

    name, task = "events", SimpleNamespace(context=())

    async def accept(self, body: bytes, release: object, now: datetime) -> Answer:
        raise ZeroDivisionError("in the middle")

    async def rank(self, request: object) -> None:
        raise BundleRefused("corrupt", "in the middle")


def at_the_collector(budget: Budget, *, broken: bool) -> Any:
    door = Broken() if broken else EventDoor(None, Catalogue(), Clock(wall=True))  # type: ignore[arg-type]
    return collector.build([door], Access(), lambda: True, budget, 100)


def at_ranking(*, broken: bool) -> Any:
    made = Doors()
    made.open(Broken() if broken else SimpleNamespace(task=Broken.task), 1, 100, Access())  # type: ignore[arg-type]
    return FastPath(None, made)  # type: ignore[arg-type]


async def post(service: str, body: bytes, *, broken: bool = False) -> httpx.Response:
    """What the service's door answers."""
    budget = Budget(1_000)
    app = at_the_collector(budget, broken=broken) if service == "collector" else at_ranking(broken=broken)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        answer = await client.post(ROUTES[service], content=body)
    assert budget.held == 0
    return answer


def counted(service: str, status: int) -> tuple[float, float]:
    """Answers of this status, and all that were timed."""
    route = ROUTES[service].removeprefix("/") if service == "collector" else ROUTES[service]
    answers = REGISTRY.get_sample_value(f"{service}_requests_total", {"route": route, "status": str(status)})
    seconds = "collector_request_seconds_count" if service == "collector" else "ranking_seconds_count"
    return answers or 0, REGISTRY.get_sample_value(seconds, {"route": route}) or 0


@pytest.mark.parametrize("service", ROUTES)
@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"nothing", 400, None),
        (b"\xff", 400, None),
        (b"{" + b" " * 100, 413, None),
        (b'{"colour": "red"}', 422, "colour"),
        (b'{"user_id": 7}', 422, "user_id"),
    ],
)
async def test_for_the_same_mistake_both_doors_have_one_answer(service: str, body: bytes, status: int, field: str | None) -> None:
    answer = await post(service, body)
    assert (answer.status_code, answer.json().get("field"), answer.headers["content-type"]) == (status, field, "application/json")
    assert answer.json()["detail"].endswith((".", "again."))
    assert "error" not in answer.json()


@pytest.mark.parametrize("service", ROUTES)
async def test_what_nobody_meant_to_raise_is_counted_timed_and_logged_once_with_its_traceback(service: str) -> None:
    before = counted(service, 500)
    with structlog.testing.capture_logs() as lines:
        answer = await post(service, BODY, broken=True)
    assert (answer.status_code, answer.json()) == (500, {"detail": "This cannot be answered: the service's log says why."})
    assert counted(service, 500) == (before[0] + 1, before[1] + 1)
    told = [(line["event"], line["log_level"], line["exc_info"], line["route"].strip("/")) for line in lines]
    assert told == [("failed", "error", True, ROUTES[service].strip("/"))]


@pytest.mark.parametrize(
    ("error", "status", "said", "headers"),
    [
        (BadInput("Wrong.", field="price", index=0), 422, b'{"detail":"Wrong.","field":"price","index":0}', {}),
        (NotJson("No JSON."), 400, b'{"detail":"No JSON."}', {}),
        (TooLarge("Large."), 413, b'{"detail":"Large."}', {}),
        (Denied(401, "Who?"), 401, b'{"detail":"Who?"}', {"WWW-Authenticate": "Bearer"}),
        (Denied(403, "No."), 403, b'{"detail":"No."}', {}),
        (Denied(429, "Wait.", retry=3), 429, b'{"detail":"Wait."}', {"Retry-After": "3"}),
        (StoreUnavailable("Away."), 503, b'{"detail":"Away."}', {"Retry-After": "1"}),
    ],
)
def test_each_error_has_its_status_words_and_headers(error: Exception, status: int, said: bytes, headers: dict[str, str]) -> None:
    assert tuple(refused(error)) == (status, said, headers)
