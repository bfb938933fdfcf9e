"""The report's figures and page, from a small play whose figures are known."""

import json

import numpy as np
import pytest

from infra.local.report.kafka import Topics
from infra.local.report.page import page
from infra.local.report.plots import plots
from infra.local.report.quality import Rows
from infra.local.report.rows import alone
from infra.local.report.scrape import sample
from infra.local.report.summary import Gathered, report
from services.shopper.log import Accepted, Asked, Played
from tests.unit.test_freshness import BASE, ONE, a_manifest, chain
from tests.unit.test_quality import some_rows

START = 1_000.0


def an_asked(number: int, **changes: object) -> Asked:
    moment = START + number / 10
    values: dict[str, object] = {
        "play": "p", "user_id": f"u{number % 7}", "time": moment * 100, "scheduled_wall": moment, "sent_wall": moment + 0.001,
        "finished_wall": moment + 0.01, "status": "ok", "request_id": f"r{number}", "bundle": ONE if number > 50 else BASE,
        "size": 4, "bought": number % 4, "position": 0, "sales": (4.0, 3.0, 2.0, 1.0), "ages": (1.0, 2.0, 3.0, 4.0),
    }  # fmt: skip
    return Asked(**(values | changes))  # type: ignore[arg-type]


def an_accepted(number: int, **changes: object) -> Accepted:
    moment = START + number / 10 + 3
    values: dict[str, object] = {
        "play": "p", "event_id": f"e{number}", "user_id": f"u{number % 7}", "item_id": "i", "time": moment,
        "sent_wall": moment, "accepted_wall": moment, "partition": number % 3, "offset": number, "request_id": f"r{number}",
    }  # fmt: skip
    return Accepted(**(values | changes))  # type: ignore[arg-type]


def a_play(n: int = 100, rows: Rows | None = None) -> Gathered:
    accepted = [an_accepted(number) for number in range(n)]
    topics = Topics(events={(line.partition, line.offset): line.event_id for line in accepted}, lists=n, corrections=2)
    played = Played(play="p", kind="journey", started_wall=START, ended_wall=START + n / 10, first_time=0.0, last_time=36_000.0)
    manifests = chain(a_manifest(BASE, None), a_manifest(ONE, BASE, {"0": tuple(range(0, n, 3))}))
    asked = [an_asked(number) for number in range(n)] + [an_asked(n + 200, probe=True)]
    return Gathered(played, asked, accepted, topics, manifests, some_rows() if rows is None else rows)


def test_all_that_is_promised_is_in_the_report() -> None:
    figures = report(a_play())
    assert {"sent", "lost", "duplicated"} <= figures["events"].keys()
    assert {"sent", "failed"} <= figures["requests"].keys()
    assert {"p50", "p99"} <= figures["rank_ms"].keys()
    assert {"published", "swapped", "refused"} <= figures["bundles"].keys()
    assert {"p50", "p99", "n", "in_example", "corrections"} <= figures["freshness_s"].keys()
    for part in ("prequential", "cold_items"):
        for who in ("live", "frozen"):
            assert {"auc", "logloss", "ece", "group_auc"} <= figures[part][who].keys()
    assert {"popularity", "item_age", "position"} == figures["alone_auc"].keys()
    assert (figures["examples"], figures["corrections"], figures["unmatched"]) == (100, 2, 0)
    assert "sampled" in figures["negatives"]
    assert figures["shop_hours_per_second"] == 1.0
    json.dumps(figures, allow_nan=False)


def test_an_event_is_lost_where_the_topic_has_another_or_none_at_its_place() -> None:
    gathered = a_play()
    del gathered.topics.events[0, 0]
    gathered.topics.events[1, 1] = "another's"
    assert report(gathered)["events"]["lost"] == 2


def test_an_event_that_stands_twice_is_duplicated_and_not_lost() -> None:
    gathered = a_play()
    gathered.topics.events[0, 1_000] = "e0"
    events = report(gathered)["events"]
    assert (events["duplicated"], events["lost"]) == (1, 0)


def test_an_event_that_the_collector_never_took_is_neither_lost_nor_an_outcome() -> None:
    gathered = a_play()
    gathered.accepted.append(an_accepted(900, partition=-1, offset=-1, accepted_wall=0.0))
    events = report(gathered)["events"]
    assert (events["sent"], events["accepted"], events["never_accepted"], events["lost"], events["outcomes"]) == (
        101,
        100,
        1,
        0,
        100,
    )


def test_shed_and_failed_requests_are_counted_apart_and_have_no_latency() -> None:
    gathered = a_play()
    gathered.asked += [
        an_asked(300, status="shed", finished_wall=START + 99),
        an_asked(301, status="failed", finished_wall=START + 99),
    ]
    figures = report(gathered)
    assert figures["requests"] | {"degraded": 0} == {"sent": 102, "answered": 100, "shed": 1, "failed": 1, "degraded": 0}
    assert figures["rank_ms"]["p99"] == pytest.approx(10.0, abs=0.01)
    assert figures["rank_ms"]["from_sending_p50"] == pytest.approx(9.0, abs=0.01)


def test_outcomes_that_no_bundle_learned_are_infinite_in_the_report() -> None:
    fresh = report(a_play())["freshness_s"]
    assert (fresh["n"], fresh["in_example"]["n"]) == (100, 34)
    assert fresh["p99"] is None
    assert fresh["never"] == 66


def test_position_alone_says_nothing_and_popularity_is_what_it_is() -> None:
    lines = [an_asked(number) for number in range(100)]
    assert alone(lines)["position"] == pytest.approx(0.5)
    assert alone([an_asked(number, bought=0) for number in range(10)])["popularity"] == 1.0


def test_without_the_base_bundle_live_is_judged_alone() -> None:
    rows = some_rows()
    unknown = Rows(rows.labels, rows.live, np.full(len(rows.live), np.nan), rows.lists, rows.users, rows.exposures, rows.windows)
    figures = report(a_play(rows=unknown))
    assert "frozen" not in figures["prequential"]
    assert figures["prequential"]["live"]["auc"] > 0.5
    assert "<svg" in plots(a_play(rows=unknown))["Prequential AUC"]


def test_the_page_needs_nothing_beside_itself() -> None:
    gathered = a_play()
    gathered.steps = {"engines": 3.0, "base bundle": 40.0}
    html = page(report(gathered), plots(gathered))
    assert html.count("<svg") == 8
    for outside in ("src=", "@import", "<link", "<script"):
        assert outside not in html
    assert "Live against frozen" in html


def test_an_empty_play_still_makes_a_page() -> None:
    gathered = a_play(0, rows=some_rows().where(np.zeros(4_000, bool)))
    gathered.asked.clear()
    assert "<h1>" in page(report(gathered), plots(gathered))


def test_samples_are_summed_over_labels() -> None:
    found = sample('# TYPE a counter\na_total{s="x"} 1.0\na_total{s="y"} 2.0\n')
    assert found["a_total"] == 3.0
    assert found["a_total{s=y}"] == 2.0
