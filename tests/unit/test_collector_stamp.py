"""An event is sent self-contained: with a time, and with its item's category, brand and price."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from services.collector.events import NOW, Event, Line
from services.collector.stamp import Catalogue, Clock, Stamp, stamp_event, stamp_line
from shared.errors import BadInput
from shared.messages import Behaviour, Item

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEA = Item(item_id="tea", time=MOMENT, category="drinks", brand="leaf", price=3.5)
WALL, REPLAY = Clock(wall=True), Clock(wall=False)


def _view(**values: object) -> Event:
    return Event(**{"event_id": "e1", "user_id": "ana", "item_id": "tea", "action": "view", **values})  # type: ignore[arg-type]


@pytest.fixture
def catalogue() -> Catalogue:
    catalogue = Catalogue()
    catalogue.put(TEA, offset=4)
    return catalogue


def test_what_is_absent_comes_from_the_item(catalogue: Catalogue) -> None:
    sent = stamp_event(_view(), catalogue, WALL, MOMENT, 0)
    assert (sent.time, sent.category, sent.brand, sent.price) == (MOMENT, "drinks", "leaf", 3.5)


def test_what_the_shop_says_is_kept_even_a_price_of_nothing(catalogue: Catalogue) -> None:
    sent = stamp_event(_view(price=0.0, category="gifts", brand="own"), catalogue, WALL, MOMENT, 0)
    assert (sent.category, sent.brand, sent.price) == ("gifts", "own", 0.0)


def test_an_item_that_no_line_describes_leaves_the_event_as_it_is(catalogue: Catalogue) -> None:
    sent = stamp_event(_view(item_id="soap"), catalogue, WALL, MOMENT, 0)
    assert (sent.category, sent.brand, sent.price) == (None, None, None)


def test_a_stamped_event_reads_back_as_behaviour(catalogue: Catalogue) -> None:
    sent = stamp_event(_view(context={"display": 1.0}), catalogue, WALL, MOMENT, 0)
    read = msgspec.json.decode(msgspec.json.encode(sent), type=Behaviour)
    assert msgspec.structs.asdict(read) == msgspec.structs.asdict(sent)


def test_an_older_line_read_late_does_not_replace_a_newer_one(catalogue: Catalogue) -> None:
    catalogue.put(Item(item_id="tea", time=MOMENT, price=9.0), offset=3)
    assert catalogue.of("tea").price == 3.5
    catalogue.put(Item(item_id="tea", time=MOMENT, price=4.0), offset=5)
    assert catalogue.of("tea") == Stamp(price=4.0)


def test_a_removed_item_stamps_nothing(catalogue: Catalogue) -> None:
    catalogue.remove("tea", offset=5)
    catalogue.remove("never there", offset=6)
    assert catalogue.of("tea") == Stamp()
    assert len(catalogue) == 0


def test_an_older_removal_read_late_does_not_take_a_newer_line_away(catalogue: Catalogue) -> None:
    catalogue.remove("tea", offset=3)
    assert catalogue.of("tea").price == 3.5


def test_an_older_line_does_not_bring_a_removed_item_back_and_a_newer_one_does(catalogue: Catalogue) -> None:
    catalogue.remove("tea", offset=6)
    catalogue.put(TEA, offset=5)
    assert (catalogue.of("tea"), len(catalogue)) == (Stamp(), 0)
    catalogue.put(TEA, offset=7)
    assert (catalogue.of("tea").price, len(catalogue)) == (3.5, 1)
    catalogue.remove("tea", offset=6)
    assert catalogue.of("tea").price == 3.5


def test_a_late_event_keeps_its_own_time() -> None:
    assert WALL.settle(MOMENT - timedelta(hours=3), MOMENT, 0) == MOMENT - timedelta(hours=3)


def test_five_minutes_ahead_is_a_clock_and_more_is_a_mistake() -> None:
    assert WALL.settle(MOMENT + timedelta(minutes=5), MOMENT, 0) == MOMENT + timedelta(minutes=5)
    with pytest.raises(BadInput, match="in the future") as caught:
        WALL.settle(MOMENT + timedelta(minutes=5, microseconds=1), MOMENT, 7)
    assert (caught.value.field, caught.value.index) == ("time", 7)


def test_a_replay_brings_its_own_time_and_must_have_one() -> None:
    past = datetime(2017, 3, 1, 10, tzinfo=UTC)
    assert REPLAY.settle(past, MOMENT, 0) == past
    assert REPLAY.settle(MOMENT + timedelta(days=400), MOMENT, 0) == MOMENT + timedelta(days=400)
    with pytest.raises(BadInput, match="required with FRESHET_CLOCK=event"):
        REPLAY.settle(NOW, MOMENT, 0)


@pytest.mark.parametrize("clock", [WALL, REPLAY])
@pytest.mark.parametrize(
    "given",
    [datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=12)))],
)
def test_times_that_no_computer_can_turn_into_utc_are_refused(clock: Clock, given: datetime) -> None:
    with pytest.raises(BadInput, match="Check the sender's clock"):
        clock.settle(given, MOMENT, 0)


def test_every_time_leaves_in_utc() -> None:
    settled = WALL.settle(datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=2))), MOMENT, 0)
    assert (settled.isoformat(), settled.tzinfo) == ("2026-03-01T11:00:00+00:00", UTC)


def test_a_line_without_a_time_is_of_now() -> None:
    assert stamp_line(Line(item_id="tea"), WALL, MOMENT, 0).time == MOMENT
