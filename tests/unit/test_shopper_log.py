"""The shopper's log, and the settings that its command line takes."""

from pathlib import Path

import pytest

from services.shopper.__main__ import arguments
from services.shopper.log import FILES, Accepted, Log, Played, Tail, read
from shared.errors import BadSettings


def an_event(number: int, play: str = "p") -> Accepted:
    return Accepted(
        play=play, event_id=f"e{number}", user_id="u", item_id="i", time=1.5, sent_wall=2.0, accepted_wall=2.5, partition=1,
        offset=number,
    )  # fmt: skip


def test_what_is_written_is_read_and_a_later_play_is_appended(tmp_path: Path) -> None:
    for play in ("p", "q"):
        with Log(tmp_path) as log:
            log.write(an_event(1, play))
            log.write(Played(play=play, kind="journey", started_wall=1.0, ended_wall=2.0))
    assert [line.play for line in read(tmp_path, Accepted)] == ["p", "q"]
    assert list(read(tmp_path, Accepted, "q")) == [an_event(1, "q")]
    assert [line.play for line in read(tmp_path, Played)] == ["p", "q"]


def test_a_line_that_is_being_written_is_left_for_the_next_reading(tmp_path: Path) -> None:
    tail = Tail(tmp_path, Accepted)
    assert list(tail.new()) == []
    with Log(tmp_path) as log:
        log.write(an_event(1))
        log.write(an_event(2))
    path = tmp_path / FILES[Accepted]
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert list(tail.new()) == [an_event(1)]
    path.write_bytes(whole)
    assert list(tail.new()) == [an_event(2)]
    assert list(tail.new()) == []


def test_arguments_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHET_SHOPPER_RATE", "5")
    monkeypatch.setenv("FRESHET_SHOPPER_HOUSEHOLDS", "40")
    settings, synthetic, public_set = arguments(["--rate", "7.5", "--synthetic"])
    assert (settings.shopper_rate, settings.shopper_households, synthetic, public_set) == (7.5, 40, True, "")


def test_a_rate_that_is_none_is_refused_by_its_name() -> None:
    with pytest.raises(BadSettings, match="FRESHET_SHOPPER_RATE"):
        arguments(["--rate", "0"])
