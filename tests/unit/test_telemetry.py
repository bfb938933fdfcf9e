"""A service that must not start ends with one line that says why."""

import json
import logging
import runpy
import socket
import sys
from collections.abc import Iterator

import pytest
import structlog

from shared.errors import BadSettings
from shared.telemetry import Monitor

SERVICES = ("features", "joiner", "updater", "updater.history", "updater.adapt")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize("service", SERVICES)
def test_a_wrong_setting_is_one_line(service: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FRESHET_PARTITIONS", "none")
    monkeypatch.setattr(sys, "argv", [service])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"services.{service}", run_name="__main__")
    assert ended.value.code == 1
    [line] = capfd.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "stopped"
    assert "FRESHET_PARTITIONS: Input should be a valid integer" in json.loads(line)["reason"]


async def test_a_taken_port_of_metrics_is_one_sentence() -> None:
    said = r"Metrics cannot be shown on 127\.0\.0\.1:\d+"
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(BadSettings, match=said):
        await Monitor(lambda: True).start(*other.getsockname())
