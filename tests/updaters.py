"""Updaters as processes of their own, with keys and a base bundle of the small shop of ``tests.examples``."""

import contextlib
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from infra.local.ports import free_block
from services.updater.history.base import publish_base
from shared.bundles.signing import signing_key, write_keys
from shared.bundles.storage import Storage
from shared.settings import Settings
from shared.tasks import RANKING, Task
from tests.conftest import variables
from tests.examples import learner
from tests.forked import Forked


@dataclass
class Updaters:
    """Starts updaters against the engines, each as a process of its own."""

    settings: Settings
    home: Path
    environment: dict[str, str]
    started: "list[Process]" = field(default_factory=list)

    def start(self, failpoint: str = "", module: str = "services.updater", without: str = "", **settings: object) -> "Process":
        """One more updater, or another module with its arguments; ``without`` names a safeguard that is off."""
        port = free_block(1)
        given = {f"FRESHET_{name.upper()}": str(value) for name, value in settings.items()}
        environment = self.environment | {"FRESHET_UPDATER_PORT": str(port), "FRESHET_FAILPOINT": failpoint} | given
        path = self.home / f"updater-{port}-{time.monotonic_ns()}.log"
        entry = ("tests.faults.hasty_updater", without) if without else tuple(module.split())
        forked = Forked(entry[0], entry[1:], {**os.environ, **environment}, path)
        self.started.append(Process(forked, port, path))
        return self.started[-1]

    def kill(self) -> None:
        """Whatever still runs."""
        for process in self.started:
            process.kill()


@dataclass
class Process:
    """A running updater."""

    popen: Forked
    port: int
    log: Path

    def ready(self, seconds: float = 240.0) -> "Process":
        """Wait until it says so."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.popen.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return self
            time.sleep(0.1)
        raise AssertionError(f"not ready: {self.log.read_text()[-3000:]}")

    def stop(self, seconds: float = 60.0) -> int:
        """SIGTERM; the exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(seconds)

    def kill(self) -> None:
        """SIGKILL."""
        self.popen.kill()
        self.popen.wait()

    def died(self, seconds: float = 240.0) -> int:
        """Wait for its own end; the exit code."""
        return self.popen.wait(seconds)

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


def prepared(settings: Settings, home: Path, task: Task = RANKING) -> Updaters:
    """Keys and a base bundle; fast tempos."""
    signing, verifying = home / "signing.pem", home / "verify.pem"
    if not signing.exists():
        write_keys(signing, verifying)
    storage = Storage.connect(settings)
    made, catalogues = learner(task)
    publish_base(storage, made, catalogues, signing_key(signing))
    tempo = {"FULL_S": "3", "DENSE_S": "0.6", "CHECKPOINT_S": "3", "KEEP_FULLS": "1000", "RIPE_S": "1", "ENCODE_S": "1"}
    own = {"FRESHET_SIGNING_KEY": str(signing), "FRESHET_TEXTS": str(home / "texts")}
    return Updaters(settings, home, variables(settings) | own | {f"FRESHET_{name}": value for name, value in tempo.items()})


def until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)
