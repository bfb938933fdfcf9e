"""A stack of its own for a test: free ports, state in the test's folder, driven by the command line as by a person."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from infra.local import engines
from infra.local.ports import free_block
from infra.local.programs import SERVICES
from infra.local.settings import MARK


def ports() -> dict[str, str]:
    """Variables that put every engine and service on a free port."""
    names = (*SERVICES, "shopper")
    first = free_block(3 + engines.S3_PORTS + len(names))
    services = {f"FRESHET_{name.upper()}_PORT": first + 13 + i for i, name in enumerate(names)}
    named = {"FRESHET_KAFKA_PORT": first, "FRESHET_REDIS_PORT": first + 2, "FRESHET_S3_PORT": first + 3, **services}
    return {name: str(port) for name, port in named.items()}


def variables(state: Path, **more: str) -> dict[str, str]:
    """The environment of ``freshet`` for a stack under ``state``; what the test session itself set is left out."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FRESHET_", "AWS_"))}
    return {**inherited, "FRESHET_STATE": str(state), "FRESHET_PARTITIONS": "4", **ports(), **more}


def freshet(environment: Mapping[str, str], *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Run a command of ``freshet`` to its end."""
    command = [sys.executable, "-m", "infra.local.cli", *arguments]
    return subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=timeout, check=False)


def start(environment: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start a command of ``freshet`` without waiting, in a process group of its own as in a terminal; its output is one stream."""
    command = [sys.executable, "-m", "infra.local.cli", *arguments]
    return subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def processes(state: Path) -> list[str]:
    """Every process that belongs to the stack under ``state``, by its command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(state.absolute()):
                found.append(" ".join(process.cmdline())[:120])
        except (psutil.Error, OSError):
            continue  # another user's, or already gone
    return found


@contextmanager
def stopped_after(environment: Mapping[str, str]) -> Iterator[None]:
    """Stop the stack whatever happens in between."""
    try:
        yield
    finally:
        freshet(environment, "down")
