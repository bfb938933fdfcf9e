"""The shopper against doors that remember what they were told."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from services.shopper.asking import Asker
from services.shopper.doors import Doors
from services.shopper.drain import drain
from services.shopper.log import Accepted, Asked, Log, read
from services.shopper.outbox import Outbox
from services.shopper.pace import Clock, Delays
from services.shopper.past import PastPlay
from services.shopper.synthetic import SyntheticPlay
from shared.datasets.candidates import Candidate, CandidateList
from shared.datasets.complete_journey import Basket, Line
from shared.datasets.moments import Moment
from shared.datasets.trivago import CONTEXT, Trivago
from shared.tasks import RANKING
from tests.integration.doors import FakeShopDoors
from tests.unit.test_datasets_adapters import TRIVAGO, movielens

FIRST = datetime(2017, 5, 1, 12, tzinfo=UTC)


def a_list(line: int, bought: str, at: int = 1) -> CandidateList:
    others = [f"other{n}" for n in range(3)]
    items = [*others[:at], bought, *others[at:]]
    return CandidateList(line, at, tuple(Candidate(item, 1.5, 1.0, 0.0, 0.25, 3, 86_400.0) for item in items))


def a_basket(number: int, bought: Sequence[str], known: int = 99) -> Basket:
    """A basket whose first ``known`` products are in the pool."""
    lines = tuple(Line(item, 2.0, 1.0) for item in bought)
    lists = tuple(a_list(n, item) for n, item in enumerate(bought) if n < known)
    return Basket(f"b{number}", f"u{number}", FIRST + timedelta(hours=number), lines, lists)


class Playing:
    """A play against the fake doors, and what it logged."""

    def __init__(self, doors: FakeShopDoors, folder: Path, *, bound: int = 64) -> None:
        self.doors, self.folder, self.bound = doors, folder, bound

    async def journey(self, baskets: Sequence[Basket], *, seconds: float = 60.0, rate: float = 500.0) -> None:
        await self.past([basket.moment() for basket in baskets], "purchase", RANKING.context, seconds=seconds, rate=rate)

    async def past(
        self, moments: Sequence[Moment], label: str, context: tuple[str, ...], *, seconds: float = 60.0, rate: float = 500.0
    ) -> None:
        async with self.doors.serve() as url, aiohttp.ClientSession() as session:
            with Log(self.folder) as log:
                clock, doors = Clock(), Doors(session, url, url)
                self.outbox = Outbox("p", doors, log, clock)
                sending = asyncio.create_task(self.outbox.run())
                asker = Asker("p", doors, log, clock, self.bound)
                generator = np.random.default_rng(1)
                play = PastPlay(asker, self.outbox, Delays(0.01, 0.02, generator), clock, rate, generator, label, context)
                await play.run(iter(moments), seconds)
                self.outbox.close()
                await sending
                await drain(asker, clock, "other0", "event", play.span.last, 0.25)

    def asked(self) -> list[Asked]:
        return list(read(self.folder, Asked))

    def accepted(self) -> list[Accepted]:
        return list(read(self.folder, Accepted))


@pytest.fixture
def doors() -> FakeShopDoors:
    return FakeShopDoors()


@pytest.fixture
def playing(doors: FakeShopDoors, tmp_path: Path) -> Playing:
    return Playing(doors, tmp_path)


async def test_all_lists_of_a_basket_are_asked_before_any_of_its_outcomes_is_told(playing: Playing, doors: FakeShopDoors) -> None:
    await playing.journey([a_basket(n, ["a", "b", "c"]) for n in range(20)])
    for number in range(20):
        calls = [door for door, body in doors.calls if f'"u{number}"' in str(body).replace("'", '"')]
        assert calls.index("events") == calls.count("rank") == 3


async def test_each_outcome_names_the_ranking_of_its_own_list(playing: Playing, doors: FakeShopDoors) -> None:
    await playing.journey([a_basket(0, ["a", "b"])])
    shown = {f"r{n}": body for n, (door, body) in enumerate(doors.calls, start=1) if door == "rank"}
    for event in [event for body in doors.bodies("events") for event in body]:
        assert event["item_id"] in [candidate["item_id"] for candidate in shown[event["request_id"]]["candidates"]]
        assert event["time"] == FIRST.isoformat().replace("+00:00", "Z")


async def test_a_product_outside_the_pool_is_told_without_a_request(playing: Playing, doors: FakeShopDoors) -> None:
    await playing.journey([a_basket(0, ["a", "b"], known=1)])
    events = {event["item_id"]: event for body in doors.bodies("events") for event in body}
    assert events["a"]["request_id"]
    assert "request_id" not in events["b"]
    assert [line.request_id for line in playing.accepted() if line.item_id == "b"] == [""]


async def test_a_question_says_nothing_of_what_was_bought(playing: Playing, doors: FakeShopDoors) -> None:
    await playing.journey([a_basket(0, ["a"])])
    (body,) = doors.bodies("rank")
    assert body.keys() == {"user_id", "session", "at", "candidates"}
    assert {tuple(candidate) for candidate in body["candidates"]} == {("item_id", "price", "context", "log_odds")}
    assert body["at"] == FIRST.isoformat()


async def test_an_event_that_was_refused_for_now_is_sent_again_with_its_id(playing: Playing, doors: FakeShopDoors) -> None:
    doors.busy = 2
    await playing.journey([a_basket(0, ["a"])])
    assert doors.refused == [["b0-a"], ["b0-a"]]
    (line,) = playing.accepted()
    assert (line.event_id, line.partition, line.offset, line.attempts) == ("b0-a", 3, 0, 3)
    assert line.accepted_wall > line.sent_wall


async def test_a_shed_ranking_is_counted_and_its_outcome_is_told_all_the_same(playing: Playing, doors: FakeShopDoors) -> None:
    doors.shed = 1
    await playing.journey([a_basket(0, ["a", "b"])])
    assert sorted(line.status for line in playing.asked() if not line.probe) == ["ok", "shed"]
    assert sorted(bool(line.request_id) for line in playing.accepted()) == [False, True]


async def test_no_more_than_the_bound_are_in_flight(doors: FakeShopDoors, tmp_path: Path) -> None:
    playing = Playing(doors, tmp_path, bound=0)
    await playing.journey([a_basket(0, ["a"])])
    assert [line.status for line in playing.asked() if not line.probe] == ["shed"]
    assert len(playing.accepted()) == 1


async def test_doors_that_are_away_fail_the_request_and_stop_nothing(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        with Log(tmp_path) as log:
            asker = Asker("p", Doors(session, "http://127.0.0.1:9", "http://127.0.0.1:9"), log, Clock(), 4)
            play = PastPlay(asker, Outbox("p", asker.doors, log, asker.clock), Delays(1, 2, np.random.default_rng(1)),
                            asker.clock, 500, np.random.default_rng(1), "purchase", RANKING.context)  # fmt: skip
            await play.run(iter([a_basket(0, ["a"]).moment()]), 5)
    (line,) = read(tmp_path, Asked)
    assert line.status == "failed"
    assert "Connect" in line.detail


async def test_probes_after_the_play_are_marked_and_make_no_impression(playing: Playing, doors: FakeShopDoors) -> None:
    await playing.journey([a_basket(0, ["a"])])
    probes = [line for line in playing.asked() if line.probe]
    assert len(probes) == len(doors.bodies("explain")) >= 2
    assert all(line.bundle == "00000000-0001" for line in probes)


async def test_a_play_that_is_stopped_tells_what_was_bought_of_the_lists_it_asked(playing: Playing, doors: FakeShopDoors) -> None:
    await playing.journey([a_basket(n, ["a", "b", "c"]) for n in range(1_000)], seconds=0.3, rate=50)
    asked = {line.request_id for line in playing.asked() if not line.probe}
    assert 3 <= len(asked) < 60
    assert {line.request_id for line in playing.accepted()} == asked


async def test_a_public_set_is_played_with_what_its_task_declares(playing: Playing, doors: FakeShopDoors, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(TRIVAGO)
    await playing.past(list(Trivago(tmp_path).moments()), "click", ("mailer", "weather", *CONTEXT))
    first, second = doors.bodies("rank")
    assert [candidate["item_id"] for candidate in first["candidates"]] == ["11", "22", "33"]
    assert {tuple(candidate["context"]) for candidate in first["candidates"]} == {("mailer", *CONTEXT)}
    assert (first["at"], second["session"]) == ("2018-11-07T00:02:00+00:00", "s1")
    shown = {f"r{n}": body for n, (door, body) in enumerate(doors.calls, start=1) if door == "rank"}
    told = {event["event_id"]: event for body in doors.bodies("events") for event in body}
    assert [told[name]["action"] for name in ("s1-2", "s1-3", "s1-4", "s2-1")] == ["view", "click", "click", "click"]
    assert [shown[told[name]["request_id"]] for name in ("s1-3", "s1-4")] == [first, second]
    assert not any("request_id" in told[name] for name in ("s1-2", "s2-1"))  # no label; in no list


async def test_a_list_that_nobody_liked_is_asked_and_its_view_told_as_plain_behaviour(
    playing: Playing, doors: FakeShopDoors, tmp_path: Path
) -> None:
    await playing.past(list(movielens(tmp_path, owners=True).moments()), "purchase", ())
    assert [body["candidates"] for body in doors.bodies("rank")] == [
        [{"item_id": film, "price": None, "context": {}, "log_odds": 0.0}] for film in ("1", "1", "2")
    ]
    told = {event["event_id"]: event.get("request_id") for body in doors.bodies("events") for event in body}
    assert {name: bool(request) for name, request in told.items()} == {
        "8-1-view": False, "8-1-purchase": True, "7-1-view": False, "7-2-view": False, "7-2-purchase": True,
    }  # fmt: skip


async def test_a_synthetic_load_keeps_its_rates_and_answers_inside_and_after_the_wait(doors: FakeShopDoors, tmp_path: Path) -> None:
    async with doors.serve() as url, aiohttp.ClientSession() as session:
        with Log(tmp_path) as log:
            clock, doors_ = Clock(), Doors(session, url, url)
            outbox = Outbox("s", doors_, log, clock)
            sending = asyncio.create_task(outbox.run())
            items = [f"i{n}" for n in range(50)]
            play = SyntheticPlay(Asker("s", doors_, log, clock, 64), outbox, clock, items, np.random.default_rng(2), "s")
            await play.run(40, 150, clock.now() + 2)
            outbox.close()
            await sending
    asked, accepted = list(read(tmp_path, Asked)), list(read(tmp_path, Accepted))
    assert len(asked) == pytest.approx(80, abs=40)
    assert len(accepted) == pytest.approx(300, abs=80)
    assert len({line.event_id for line in accepted}) == len(accepted)
    assert {line.request_id for line in accepted if line.request_id} <= {line.request_id for line in asked}
    assert not any("at" in body for body in doors.bodies("rank"))
