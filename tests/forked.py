"""Processes of a service, forked from one that has imported it: a start costs what the service does, not Python's imports."""

import atexit
import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from shared import failpoints

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["services.updater.__main__", "torch._inductor"])  # torch loads the latter with the first learner


def run(module: str, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path) -> None:
    """What the process does: ``python -m module``, with this environment and its output in ``log``."""
    with log.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    importlib.reload(failpoints)  # it reads the environment once
    runpy.run_module(module, run_name="__main__", alter_sys=True)


class Forked:
    """A running process; as much of :class:`subprocess.Popen` as the tests use."""

    def __init__(self, module: str, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path) -> None:
        self.args = ("-m", module, *arguments)
        self._process = _forks.Process(target=run, args=(module, arguments, dict(environment), log))
        self._process.start()
        assert self._process.pid
        self.pid: int = self._process.pid
        atexit.register(self.kill)  # multiprocessing would wait for what a failed test left running

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; ``None`` while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        """Its exit status, once it ended.

        Raises:
            subprocess.TimeoutExpired: it runs still.
        """
        self._process.join(seconds)
        if (status := self.poll()) is None:
            raise subprocess.TimeoutExpired(self.args, seconds or 0)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """To this process, unless it ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)
