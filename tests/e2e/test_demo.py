"""``freshet demo`` on a small sample of the shop: the loop closes, nothing is lost, and the next start repeats no pretraining."""

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from shared.kafka import partition_for
from shared.messages import Behaviour
from tests.e2e.stack import freshet, processes, start, stopped_after, variables
from tests.updaters import until

pytestmark = [pytest.mark.engines, pytest.mark.timeout(900)]
SMALL = {"FRESHET_SHOPPER_HOUSEHOLDS": "20", "FRESHET_SHOPPER_RATE": "10", "FRESHET_SHOPPER_SECONDS": "30"}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], str]]:
    """The environment of a demo that was played to its end, and what it said."""
    environment = variables(tmp_path_factory.mktemp("demo"), **SMALL)
    with stopped_after(environment):
        done = freshet(environment, "demo", timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        yield environment, done.stdout


@pytest.fixture(scope="module")
def report(played: tuple[dict[str, str], str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_state(played) / "report.json").read_text())
    return found


def _state(played: tuple[dict[str, str], str]) -> Path:
    return Path(played[0]["FRESHET_STATE"])


def test_nothing_is_lost_or_doubled_and_no_request_fails(report: dict[str, Any]) -> None:
    assert report["requests"]["sent"] > 100
    assert report["requests"]["failed"] == 0
    assert (report["events"]["lost"], report["events"]["duplicated"], report["events"]["never_accepted"]) == (0, 0, 0)


def test_outcomes_become_examples_and_examples_become_bundles_that_answer(report: dict[str, Any]) -> None:
    assert report["examples"] > 0
    assert report["bundles"]["swapped"] > 3
    assert report["bundles"]["refused"] == 0
    assert report["prequential"]["live"]["auc"] > 0.5
    assert report["prequential"]["frozen"]["auc"] > 0.5


def test_the_report_needs_nothing_beside_itself_and_the_summary_names_it(played: tuple[dict[str, str], str]) -> None:
    page = (_state(played) / "report.html").read_text()
    assert "<svg" in page
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert "the first answer was served" in played[1]
    assert "events sent / lost / duplicated" in played[1]


def test_the_demo_leaves_no_process(played: tuple[dict[str, str], str]) -> None:
    assert processes(_state(played)) == []


def test_the_next_start_imports_nothing_and_an_interrupt_while_playing_stops_all_in_order(
    played: tuple[dict[str, str], str],
) -> None:
    environment, state = played[0] | {"FRESHET_SHOPPER_SECONDS": "300"}, _state(played)
    with stopped_after(environment):
        demo = start(environment, "demo")
        _until_playing(state, demo)
        os.killpg(demo.pid, signal.SIGINT)  # the whole group, as a terminal does
        said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 130, said
    assert "base: the copy that an earlier start made" in said
    assert "history import" not in said
    assert processes(state) == []
    stopped = re.findall(r"stopped: (\w+) ", (state / "logs" / "supervisor.log").read_text())[-8:]
    assert [set(stopped[:2]), set(stopped[2:5]), set(stopped[5:])] == [
        {"ranking", "collector"},
        {"features", "joiner", "updater"},
        {"kafka", "seaweed", "valkey"},
    ]


def test_the_stack_starts_from_the_same_base_and_operators_can_work_on_it(played: tuple[dict[str, str], str]) -> None:
    environment, _ = played
    with stopped_after(environment):
        said = _said(freshet(environment, "up"))
        assert "history import" not in said
        assert said.count("yes") == 8
        version = "00000000-0001"
        assert version in _said(freshet(environment, "bundles", "list"))
        assert f"{version} may be served" in _said(freshet(environment, "bundles", "verify", version))
        assert f"pinned {version}" in _said(freshet(environment, "bundles", "pin", version))
        assert "pin" in _said(freshet(environment, "bundles", "list"))
        assert "unpinned" in _said(freshet(environment, "bundles", "unpin"))
        assert "there is no bundle 9" in freshet(environment, "bundles", "verify", "9").stdout
        assert "window" in _said(freshet(environment, "windows", "list"))
        lag = _said(freshet(environment, "lag"))  # nobody shops: what has read nothing says nothing, and the updater is not behind
        assert re.search(r"updater +│ examples.ranking +│ 4 +│ 0.0 s", lag), lag
        assert "joiner" not in lag
        _a_record_that_nobody_can_use(environment)
        until(lambda: "undecodable" in _said(freshet(environment, "dead-letters", "list")), 120)
        assert re.search(r"joiner +│ behaviour +│", _said(freshet(environment, "lag")))
        again = ("dead-letters", "replay", "--reason", "undecodable", "--service", "joiner")
        assert "1 records would be sent again: add --yes" in _said(freshet(environment, *again))
        assert "1 records were sent again" in _said(freshet(environment, *again, "--yes"))
        until(lambda: "2 records would be sent again" in _said(freshet(environment, *again)), 120)  # it came, as useless as before
        assert f"learning goes back to {version}" in _said(freshet(environment, "bundles", "restore", version))
        assert f"back to {version}" in _said(freshet(environment, "windows", "list"))
        _said(freshet(environment, "up"))  # what runs is left alone
        assert "stopped" in _said(freshet(environment, "down"))
    assert processes(_state(played)) == []


def _said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _a_record_that_nobody_can_use(environment: dict[str, str]) -> None:
    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{environment['FRESHET_KAFKA_PORT']}") as client:
            await client.send_and_wait(Behaviour.topic, b"{", key=b"ana", partition=partition_for("ana", 4))

    asyncio.run(send())


def _until_playing(state: Path, demo: subprocess.Popen[str], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not any("services.shopper" in line for line in processes(state)):
        assert demo.poll() is None, demo.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(5)  # into the play
