"""Who is let in to be ranked, and when a request counts as in work."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from services.ranking import doors
from services.ranking.doors import Doors
from services.ranking.requests import Answer
from shared.access import Access

SCOPE = {"path": "/rank", "headers": [], "client": ("127.0.0.1", 1)}
BODY = b'{"user_id": "u", "candidates": [{"item_id": "i"}]}'


class Ranker:
    """Answers when told."""

    task = SimpleNamespace(context=())

    def __init__(self) -> None:
        self.told = asyncio.Event()

    async def rank(self, request: Any) -> Answer:
        await self.told.wait()
        return Answer("r", "b", 1, False, [])


def sent(*parts: bytes) -> Any:
    """A body that comes in these parts; it has no end where the last is empty."""
    left: Iterator[bytes] = iter(parts)

    async def receive() -> dict[str, Any]:
        if not (part := next(left)):
            await asyncio.Event().wait()
        return {"type": "http.request", "body": part, "more_body": not part.endswith(b"]}")}

    return receive


@pytest.fixture
async def ranker() -> Ranker:
    return Ranker()


@pytest.fixture
async def opened(ranker: Ranker) -> Doors:
    made = Doors()
    made.open(ranker, 1, 1 << 10, Access())  # type: ignore[arg-type]
    return made


async def test_bodies_that_come_slowly_keep_nobody_out(opened: Doors, ranker: Ranker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "BODY_SECONDS", 0.2)
    slow = [asyncio.create_task(opened.reply(SCOPE, sent(BODY[:9], b""))) for _ in range(5)]
    await asyncio.sleep(0)
    ranker.told.set()
    assert (await opened.reply(SCOPE, sent(BODY[:9], BODY[9:])))[0] == 200
    for status, body, headers in await asyncio.gather(*slow):
        assert (status, headers) == (408, {"Connection": "close"})
        assert b"within 0.2 s" in body


async def test_a_body_that_is_there_after_the_last_place_was_taken_is_sent_back(opened: Doors, ranker: Ranker) -> None:
    both = [asyncio.create_task(opened.reply(SCOPE, sent(BODY))) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ranker.told.set()
    assert sorted(status for status, *_ in await asyncio.gather(*both)) == [200, 503]
    assert (await opened.reply(SCOPE, sent(BODY)))[0] == 200


async def test_while_all_places_are_taken_no_body_is_read(opened: Doors, ranker: Ranker) -> None:
    first = asyncio.create_task(opened.reply(SCOPE, sent(BODY)))
    await asyncio.sleep(0)
    assert (await opened.reply(SCOPE, sent()))[0] == 503
    ranker.told.set()
    assert (await first)[0] == 200


async def test_one_answer_a_second_is_logged_with_its_ids(opened: Doors, ranker: Ranker, monkeypatch: pytest.MonkeyPatch) -> None:
    ranker.told.set()
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            assert (await opened.reply(SCOPE, sent(BODY)))[0] == 200
        monkeypatch.setattr(opened, "_logged_at", 0.0)
        await opened.reply(SCOPE, sent(BODY))
    assert [(line["event"], line["request_id"], line["bundle"]) for line in lines] == [("answered", "r", "b")] * 2
