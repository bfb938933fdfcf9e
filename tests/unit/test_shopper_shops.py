"""Public sets as shops that are played: what is played of them, what is imported before, and what is refused."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.shopper.settings import ShopperSettings
from services.shopper.shops import load
from services.updater.history.shop_files import ShopFiles
from services.updater.settings import HistorySettings
from shared import tasks
from shared.datasets.__main__ import main
from shared.datasets.settings import SampleSettings
from shared.errors import BadSettings
from shared.tasks import Task
from tests.unit.test_datasets_adapters import TRIVAGO, movielens


def settings(**told: str) -> ShopperSettings:
    return ShopperSettings.read(**({"clock": "event", "shopper_start": "1990-01-01T00:00:00Z"} | told))


def test_a_set_is_played_from_the_start_to_the_end_of_the_play(tmp_path: Path) -> None:
    movielens(tmp_path, owners=False)
    name = f"movielens_100k:{tmp_path}"
    shop = load(settings(), name)
    assert (shop.name, shop.label, sorted(item.item_id for item in shop.items)) == ("movielens_100k", "purchase", ["1", "2"])
    assert [moment.user_id for moment in shop.moments] == ["8", "7"]
    assert [moment.user_id for moment in load(settings(shopper_start="1997-12-04T15:55:49Z"), name).moments] == ["7"]
    assert [moment.user_id for moment in load(settings(shopper_end="1997-12-04T15:55:49Z"), name).moments] == ["8"]


def test_what_lies_before_the_start_is_written_as_files_that_history_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    movielens(tmp_path, owners=True)
    out = tmp_path / "my-shop"
    monkeypatch.setattr(sys, "argv", ["", f"movielens_100k:{tmp_path}", str(out), "--until", "1997-12-04T15:55:49Z"])
    main()
    shop = ShopFiles(out, "purchase", 7)
    assert shop.items["2"].title == "Misérables, Les (1995), Drama"
    assert [event.event_id for moment in shop.moments() for event in moment.events] == ["8-1-view", "8-1-purchase"]


@pytest.mark.parametrize("until", ["1997-12-04T15:55:49", "yesterday", ""])
def test_a_time_without_a_zone_is_refused_and_not_guessed(until: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("shopper_start", "shopper_end"):
        with pytest.raises(BadSettings, match=f"^FRESHET_{name.upper()}: Input should [^\n]*$"):
            settings(**{name: until})
    monkeypatch.setenv("FRESHET_SHOPPER_START", until)
    with pytest.raises(BadSettings, match=r"^FRESHET_SHOPPER_START: Input should [^\n]*$"):
        HistorySettings.read()
    monkeypatch.setattr(sys, "argv", ["", f"movielens_100k:{tmp_path}", str(tmp_path / "out"), "--until", until])
    with pytest.raises(BadSettings, match=f"^--until {until} is no time with a zone"):
        main()


def test_history_ends_where_the_play_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHET_SHOPPER_START", "2017-05-01T02:00:00+02:00")
    assert HistorySettings.read().shopper_start == ShopperSettings.read().shopper_start == datetime(2017, 5, 1, tzinfo=UTC)
    for told in (HistorySettings, ShopperSettings):
        assert not SampleSettings.__annotations__.keys() & told.__annotations__.keys()


@pytest.mark.parametrize(
    ("told", "words", "sentence"),
    [
        ({}, "nonsense:FOLDER", "'nonsense:FOLDER' is no NAME:FOLDER of a set; there is movielens_100k, "),
        ({}, "trivago", "'trivago' is no NAME:FOLDER"),
        ({}, "trivago:FOLDER", "trivago answers its lists by 'click', and task 'ranking' has the labels purchase"),
        ({"task": "hotels"}, "trivago:FOLDER", "trivago tells of each item price_rank, cheapest, .* task 'hotels' has not"),
        ({"clock": "wall"}, "movielens_100k:FOLDER", "set FRESHET_CLOCK=event here and for the stack"),
        ({}, "online_retail:FOLDER", r"none of transactions\.parquet"),
        ({"shopper_start": "2017-03-01T00:00:00Z"}, "movielens_100k:FOLDER", "its first moment is 1997-12-04T15:55:48"),
        ({"shopper_end": "1991-01-01T00:00:00Z"}, "movielens_100k:FOLDER", "nothing from --start 1990-.* to --end 1991-"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_sentence(
    told: dict[str, str], words: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tasks.TASKS, "hotels", Task(name="hotels", labels=("click",), context=("position",)))
    (tmp_path / "train.csv").write_text(TRIVAGO)
    movielens(tmp_path, owners=True)
    with pytest.raises(BadSettings, match=sentence) as refusal:
        load(settings(**told), words.replace("FOLDER", str(tmp_path)) if "nonsense" not in words else words)
    assert "\n" not in str(refusal.value)
