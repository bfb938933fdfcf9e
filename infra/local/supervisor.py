"""The process manager: supervisord with a generated configuration, spoken to over a Unix socket."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from shared.errors import Unavailable

HEAD = """\
[supervisord]
nodaemon=false
logfile={logs}/supervisor.log
pidfile={state}/supervisor.pid
childlogdir={logs}
minfds=1024
{user}
[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

PROGRAM = """
[program:{name}]
command={command}
directory={directory}
autostart=false
autorestart=true
startsecs=1
startretries=20
stopwaitsecs={grace}
killasgroup=true
redirect_stderr=true
stdout_logfile={logs}/{name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=1
"""

ENDED = ("BACKOFF", "EXITED", "FATAL")


@dataclass(frozen=True, slots=True)
class Program:
    """A process that is kept running."""

    name: str
    command: tuple[str, ...]
    directory: Path
    grace: int = 30
    """Seconds that it may take to stop before it is ended by force."""


@dataclass(frozen=True, slots=True)
class State:
    """What the manager knows of a program."""

    name: str
    state: str
    pid: int
    since: float
    log: Path


class Supervisor:
    """One process manager, which runs until it is told to end."""

    def __init__(self, state: Path, socket: Path) -> None:
        self.state, self.socket = state.absolute(), socket

    def running(self) -> bool:
        """Whether a manager answers on the socket."""
        try:
            return bool(self._call("supervisor.getState")["statename"] == "RUNNING")
        except (Unavailable, Fault):
            return False

    def launch(self, programs: list[Program], environment: Mapping[str, str], wait_s: float = 15.0) -> None:
        """Start the manager, which starts none of the programs yet; ``environment`` is all that they inherit.

        Raises:
            Unavailable: it ended, or does not answer.
        """
        logs = self.state / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        configuration = self.state / "supervisord.conf"
        configuration.write_text(render(programs, self.state, self.socket))
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)]
        done = subprocess.run(command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            said = done.stdout.strip().splitlines()
            raise Unavailable(f"the process manager did not start: {said[0] if said else 'it said nothing'} (see {configuration})")
        deadline = time.monotonic() + wait_s
        while not self.running():
            if time.monotonic() > deadline:
                raise Unavailable(f"the process manager does not answer: see {logs / 'supervisor.log'}")
            time.sleep(0.05)

    def states(self) -> dict[str, State]:
        """Every program by name."""
        return {
            found["name"]: State(found["name"], found["statename"], found["pid"], found["start"], Path(found["stdout_logfile"]))
            for found in self._call("supervisor.getAllProcessInfo")
        }

    def start(self, name: str) -> None:
        """Start a program, without waiting; one that runs is left alone."""
        self._tolerant("supervisor.startProcess", name, "ALREADY_STARTED")

    def stop(self, names: list[str], wait_s: float = 60.0) -> None:
        """Stop programs together and return once all have ended."""
        for name in names:
            self._tolerant("supervisor.stopProcess", name, "NOT_RUNNING")
        deadline = time.monotonic() + wait_s
        while any(self.states()[name].pid for name in names) and time.monotonic() < deadline:
            time.sleep(0.05)

    def shutdown(self, wait_s: float = 60.0) -> None:
        """Stop what still runs, then the manager itself."""
        self._call("supervisor.shutdown")
        deadline = time.monotonic() + wait_s
        while (self.state / "supervisor.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _tolerant(self, method: str, name: str, accepted: str) -> None:
        try:
            self._call(method, name, False)
        except Fault as fault:
            if not fault.faultString.startswith(accepted):
                raise Unavailable(f"the process manager could not do {method} {name}: {fault.faultString}") from fault

    def _call(self, method: str, *arguments: Any) -> Any:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            with ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                called: Any = proxy
                for part in method.split("."):
                    called = getattr(called, part)
                return called(*arguments)
        except (OSError, HTTPException) as error:
            raise Unavailable(
                f"the process manager does not answer on {self.socket} ({error}): `freshet down` clears up"
            ) from error


def render(programs: list[Program], state: Path, socket: Path) -> str:
    """The configuration; a ``%`` is written twice, as its format wants."""
    logs, user = _escaped(state / "logs"), "user=root\n" if os.getuid() == 0 else ""
    head = HEAD.format(logs=logs, state=_escaped(state), socket=_escaped(socket), user=user)
    return head + "".join(
        PROGRAM.format(
            name=program.name,
            command=_escaped(shlex.join(program.command)),
            directory=_escaped(program.directory),
            grace=program.grace,
            logs=logs,
        )
        for program in programs
    )


def _escaped(value: object) -> str:
    return str(value).replace("%", "%%")
