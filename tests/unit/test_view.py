"""The terminal view, from a log, a storage in memory and metrics that are given."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from infra.local import view
from infra.local.report.ledger import Ledger
from infra.local.watching import Seen, Watcher
from services.shopper.log import Log
from shared.bundles.objects import MemoryObjects
from shared.bundles.storage import Storage
from tests.unit.test_freshness import BASE, ONE, TWO, a_manifest
from tests.unit.test_report import START, an_accepted, an_asked

QUALITY = {
    "updater_quality{metric=auc,prediction=served,slice=all}": 0.871,
    "updater_quality{metric=auc,prediction=frozen,slice=all}": 0.86,
    "joiner_examples_total{kind=list}": 1_234.0,
}


@pytest.fixture
def storage() -> Storage:
    storage = Storage(MemoryObjects(), "ranking")
    storage.put_manifest(a_manifest(BASE, None))
    storage.put_manifest(a_manifest(ONE, BASE, {"0": tuple(range(0, 100, 3)), "1": tuple(range(1, 100, 3))}))
    return storage


def write(folder: Path, first: int, last: int) -> None:
    with Log(folder) as log:
        for number in range(first, last):
            log.write(an_asked(number))
            log.write(an_accepted(number))


def test_a_look_tells_of_the_last_half_minute(storage: Storage, tmp_path: Path) -> None:
    watcher = Watcher({}, tmp_path, storage)
    write(tmp_path, 0, 100)
    with Log(tmp_path) as log:
        log.write(an_asked(100, status="failed"))
        log.write(an_asked(101, probe=True))
    seen = watcher.look(START + 20)
    assert (seen.asked, seen.failed, seen.shed, seen.reported) == (101, 1, 0, 100)
    assert seen.requests_per_s == pytest.approx(101 / 30)
    assert seen.events_per_s == pytest.approx(100 / 30)
    assert seen.rank_p50_ms == pytest.approx(10, abs=0.1)
    assert (seen.bundle, seen.bundles) == (ONE, 2)
    later = watcher.look(START + 500)
    assert (later.requests_per_s, later.events_per_s, later.reported) == (0, 0, 100)


def test_freshness_in_view_is_that_of_settled_outcomes(storage: Storage, tmp_path: Path) -> None:
    watcher = Watcher({}, tmp_path, storage)
    write(tmp_path, 0, 100)
    seen = watcher.look(START + 9)  # outcomes accepted up to START + 4 have settled, all before the first answer of ONE
    assert seen.fresh_p50 == pytest.approx(1.81)  # the fifth of ten, three of them infinite
    assert seen.fresh_p99 is None, "a third of the outcomes is in no manifest"


def test_what_was_played_before_is_not_shown(storage: Storage, tmp_path: Path) -> None:
    write(tmp_path, 0, 50)
    watcher = Watcher({}, tmp_path, storage)
    assert watcher.look(START + 10).asked == 0


def test_a_manifest_that_was_deleted_since_is_still_known(storage: Storage, tmp_path: Path) -> None:
    Ledger(storage, tmp_path).refresh()
    storage.objects.delete(storage.manifest_key(ONE))
    storage.put_manifest(a_manifest(TWO, ONE))
    assert Ledger(storage, tmp_path).refresh().keys() == {BASE, ONE, TWO}


def test_a_line_says_what_the_board_says() -> None:
    seen = Seen(events_per_s=151.2, requests_per_s=50, fresh_p50=1.24, bundle=ONE, window=1, services=QUALITY, failed=2)
    text = view.line(seen, 65)
    for part in ("events/s 151", "rankings/s 50", "failed, shed 2, 0", "fresh p50, p99 1.2 s, –", "gain +0.0110", "examples 1,234"):
        assert part in text
    board = Console(file=io.StringIO(), width=140, force_terminal=True)
    board.print(view.dashboard(seen, 65))
    shown = board.file.getvalue()  # type: ignore[attr-defined]
    assert "play, 1:05" in shown
    assert "0.8710" in shown


def test_before_anything_is_known_there_are_dashes() -> None:
    assert view.line(Seen(), 0).count("–") >= 6


def test_without_a_terminal_a_watch_prints_lines_and_ends_when_told(storage: Storage, tmp_path: Path) -> None:
    output = Console(file=io.StringIO(), width=80)
    seen = view.watch({}, tmp_path, storage, until=lambda: True, output=output)
    text = output.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("\n") == 1
    assert seen.asked == 0


def test_on_a_terminal_a_watch_ends_when_told(storage: Storage, tmp_path: Path) -> None:
    output = Console(file=io.StringIO(), width=120, force_terminal=True)
    assert view.watch({}, tmp_path, storage, until=lambda: True, output=output).bundle == ""
