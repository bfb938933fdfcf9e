"""What runs, as a table."""

import time
from contextlib import suppress

import psutil
from rich.table import Table

from infra.local.programs import local_engines
from infra.local.stack import Stack
from infra.local.supervisor import State


def table(stack: Stack, now: float) -> Table:
    """One row a program: its state, process id, memory (with its children), port, and whether it is ready."""
    shown = Table(title="Freshet", title_justify="left")
    for column in ("program", "state", "pid", "memory", "since", "port", "ready"):
        shown.add_column(column, justify="right" if column in ("pid", "memory", "since", "port") else "left")
    states = stack.states()
    for engine in local_engines(stack.settings, stack.data):
        if (state := states.get(engine.name)) is not None:
            shown.add_row(*_row(state, engine.ports[0], bool(state.pid) and engine.answers(state.pid), now))
    for service in stack.services:
        if (state := states.get(service.name)) is not None:
            shown.add_row(*_row(state, service.port, bool(state.pid) and service.ready(), now))
    return shown


def memory(pid: int) -> int:
    """Resident bytes of a process and its children; 0 where it is gone."""
    total = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    return total


def _row(state: State, port: int, ready: bool, now: float) -> tuple[str, ...]:
    running = state.pid > 0
    colour = "green" if ready else "yellow" if running else "red"
    return (
        state.name,
        state.state.lower(),
        str(state.pid) if running else "",
        f"{memory(state.pid) >> 20} MB" if running else "",
        f"{max(0.0, now - state.since):.0f} s" if running else "",
        str(port),
        f"[{colour}]{'yes' if ready else 'no'}[/{colour}]",
    )


def now() -> float:
    """The wall clock, which the process manager's times are by."""
    return time.time()
