"""``freshet up``, ``down`` and ``status`` as a person uses them: nothing is left behind, what is wrong is one sentence."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local import prepare
from infra.local.settings import StackSettings
from infra.local.stack import Stack
from shared.errors import BadSettings
from tests.e2e.stack import freshet, processes, start, stopped_after, variables

pytestmark = [pytest.mark.engines, pytest.mark.timeout(420)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_starting_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    environment = variables(tmp_path)
    with stopped_after(environment):
        up = start(environment, "up", "--empty")
        _until(lambda: len(processes(tmp_path)) >= 4)  # the manager and three engines
        up.send_signal(number)
        said, _ = up.communicate(timeout=60)
        assert up.returncode == 130, said
        assert "stopped" in said
        assert processes(tmp_path) == []


def test_processes_whose_manager_was_killed_are_ended_by_down(tmp_path: Path) -> None:
    environment = variables(tmp_path)
    stack = _stack(environment)
    stack.start_engines()
    _kill_manager(tmp_path)
    assert len(processes(tmp_path)) == 3
    assert "stopped" in freshet(environment, "down").stdout
    assert processes(tmp_path) == []


def test_a_taken_port_is_said_with_its_owner_and_nothing_is_started(tmp_path: Path) -> None:
    environment = variables(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(environment["FRESHET_RANKING_PORT"])))
        other.listen()
        done = freshet(environment, "up")
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert f"port {environment['FRESHET_RANKING_PORT']}, which ranking needs, is taken by" in said
    assert "Traceback" not in done.stdout + done.stderr
    assert processes(tmp_path) == []


def test_a_wrong_setting_is_one_sentence(tmp_path: Path) -> None:
    done = freshet(variables(tmp_path, FRESHET_PARTITIONS="none"), "up")
    assert done.returncode == 1
    assert "FRESHET_PARTITIONS: Input should be a valid integer" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout + done.stderr


def test_a_full_disk_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"only .* GB are free on the disk of .*: free at least"):
        prepare.require_room(tmp_path, needed=1 << 60)


def test_nothing_runs_is_said(tmp_path: Path) -> None:
    environment = variables(tmp_path)
    assert "nothing runs" in freshet(environment, "status").stdout
    assert "nothing was running" in freshet(environment, "down").stdout


def _stack(environment: dict[str, str]) -> Stack:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return Stack(StackSettings.read().resolved())


def _kill_manager(state: Path) -> None:
    manager = int((state / "supervisor.pid").read_text())
    os.kill(manager, signal.SIGKILL)
    _until(lambda: not any("supervisord" in line for line in processes(state)))


def _until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
