"""The tables of cost and scale are what ``tests/bench/scale.py`` computes, and it moves as it should."""

from dataclasses import replace
from itertools import pairwise

import pytest

from services.updater.publishing.schedule import Schedule
from services.updater.settings import UpdaterSettings
from tests.bench.scale import HEAD, Limits, Load, Measured, Prediction, Prices, Written, predict, row, storage
from tests.terraform.tables import TERRAFORM, argument, blocks


def predicted(load: Load, measured: Measured = Measured()) -> Prediction:  # noqa: B008 (frozen)
    return predict(load, measured, Limits(), Prices(), headroom=0.6)


@pytest.mark.parametrize(("page", "sizes"), [("README.md", (1, 100, 10_000)), ("SCALE.md", (10_000, 1_000_000))])
def test_a_page_shows_what_the_model_says(page: str, sizes: tuple[float, ...]) -> None:
    loads = [Load(events, 100 * events) for events in sizes]
    assert "\n".join([HEAD, *(row(load, predicted(load)) for load in loads)]) in (TERRAFORM / page).read_text()


def test_more_load_never_takes_fewer_tasks_or_less_money() -> None:
    found = [predicted(Load(10.0**n, 100 * 10.0**n)) for n in range(7)]
    assert all(a.tasks[name] <= b.tasks[name] for a, b in pairwise(found) for name in ("collector", "features", "joiner"))
    assert all(a.dollars_month <= b.dollars_month for a, b in pairwise(found))


def test_no_more_readers_than_partitions() -> None:
    found = [predicted(Load(10.0**n, 100 * 10.0**n)) for n in range(7)]
    assert all(one.tasks[name] <= one.partitions * one.cells for one in found for name in ("features", "joiner"))


def test_a_faster_core_takes_fewer_tasks() -> None:
    load = Load(1e5, 1e7)
    assert predicted(load, replace(Measured(), ranking=1_400.0)).tasks["ranking"] < predicted(load).tasks["ranking"]


def test_publishing_seldom_is_cheaper_and_staler() -> None:
    often, seldom = predicted(Load(100, 10_000)), predicted(Load(100, 10_000, publish_s=60))
    assert seldom.dollars_month < often.dollars_month
    assert seldom.freshness_mean > often.freshness_mean + 25


@pytest.mark.parametrize("publish_s", [0.25, 1.0, 7200.0])
def test_full_bundles_come_as_often_as_the_updater_makes_them(publish_s: float) -> None:
    schedule, fulls = Schedule.of(UpdaterSettings(publish_s=publish_s)), []
    for turn in range(1_000):
        if due := schedule.due(turn * publish_s):
            schedule.done(due, turn * publish_s)
            fulls += [turn * publish_s] * due.full
    written = Written.of(1e6, 100.0, 1 / publish_s, Load(500, 50_000), Measured())
    assert {later - before for before, later in pairwise(fulls)} == {written.full_every}


def test_what_is_kept_longer_and_read_by_more_costs_more() -> None:
    """The week is the storage module's, and lifecycle comes once a day."""
    days = next(
        argument(body, "default") for name, body in blocks(TERRAFORM / "modules" / "storage", "variable") if "noncurrent" in name
    )
    assert int(days) < Prices().s3_days < int(days) + 1
    load, written = Load(1e4, 1e6), Written.of(2e6, 1_000.0, 4.0, Load(1e4, 1e6), Measured())
    once = storage(load, written, 4.0, 1, Prices())
    assert storage(load, written, 4.0, 6, Prices()) > once
    assert storage(load, written, 4.0, 1, Prices(s3_days=30)) - once == pytest.approx(written.bytes * 22.5 * 86_400 / 1e9 * 0.023)


def test_a_longer_page_is_dearer_as_what_is_shown_is_logged_and_learned() -> None:
    short, long = predicted(Load(1e6, 1e8, shown=10)), predicted(Load(1e6, 1e8, shown=20))
    assert short.cells < long.cells
    wide = replace(Measured(), gpu=1e9, updater=1e9)
    assert predicted(Load(1e4, 1e6, shown=10), wide).dollars_month < predicted(Load(1e4, 1e6, shown=20), wide).dollars_month
