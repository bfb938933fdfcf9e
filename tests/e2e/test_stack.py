"""``freshet up``, ``down`` and ``status`` as a person uses them: nothing is left behind, what is wrong is one sentence."""

import errno
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from infra.local import base, cli, prepare
from infra.local.settings import StackSettings
from infra.local.stack import Stack
from infra.local.supervisor import Supervisor
from shared.errors import Unavailable
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
        said = _refused(environment)
    assert f"port {environment['FRESHET_RANKING_PORT']}, which ranking needs, is taken by" in said
    assert processes(tmp_path) == []


def test_a_wrong_setting_is_one_sentence(tmp_path: Path) -> None:
    done = freshet(variables(tmp_path, FRESHET_PARTITIONS="none"), "up")
    assert done.returncode == 1
    assert "FRESHET_PARTITIONS: Input should be a valid integer" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout + done.stderr


def test_a_full_disk_is_refused_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = variables(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(prepare, "ROOM", 1 << 60)
    with stopped_after(environment):
        done = CliRunner().invoke(cli.app, ["up", "--empty"])
        assert done.exit_code == 1
        assert re.search(r"only .* GB are free on the disk of .*: free at least", done.output)
        assert processes(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device on which nothing has room is Linux's")
def test_a_disk_that_fills_up_while_starting_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "supervisord.conf").symlink_to("/dev/full")
    said = _refused(variables(tmp_path))
    assert "the disk is full. Free some GB on it" in said
    assert processes(tmp_path) == []


def test_a_base_that_was_copied_in_part_is_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = _stack(variables(tmp_path))
    for engine in base.KEPT:
        (base.folder(stack) / engine).mkdir(parents=True)
        (base.folder(stack) / engine / "data").touch()
    (base.folder(stack) / "made-by").write_text(base.fingerprint())
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", Mock(side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
        with pytest.raises(Unavailable, match=r"was not copied to .*No space left on device"):
            base.load(stack, anew=False)
    assert not stack.data.exists()
    base.load(stack, anew=False)
    assert sorted(path.name for path in stack.data.iterdir()) == sorted(base.KEPT)


def test_kafka_that_cannot_be_fetched_is_one_sentence(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
    said = _refused(variables(tmp_path) | nowhere | {"HOME": str(tmp_path), "NO_PROXY": "", "no_proxy": ""})
    assert "Apache Kafka cannot be fetched from Maven Central" in said
    assert "or name a Kafka that runs, in FRESHET_KAFKA" in said
    assert processes(tmp_path) == []


def test_a_folder_that_kafka_cannot_prepare_is_one_sentence(tmp_path: Path) -> None:
    home = tmp_path / "stack" / "kafka"
    home.mkdir(parents=True)
    (home / "data").write_text("a file")
    assert f"Kafka could not prepare {home}, {home / 'format.log'} says why" in _refused(variables(tmp_path))
    assert processes(tmp_path) == []


def test_a_manager_that_cannot_start_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="the process manager did not start: Error: Cannot open an HTTP server"):
        Supervisor(tmp_path, tmp_path / "missing" / "socket").launch([], os.environ)


def test_nothing_runs_is_said(tmp_path: Path) -> None:
    environment = variables(tmp_path)
    assert "nothing runs" in freshet(environment, "status").stdout
    assert "nothing was running" in freshet(environment, "down").stdout


def _refused(environment: dict[str, str]) -> str:
    """What ``freshet up`` says where it does not start."""
    with stopped_after(environment):
        done = freshet(environment, "up", "--empty")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    return " ".join(done.stdout.split())


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
