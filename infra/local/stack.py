"""The whole stack: what is started after what, and stopped before what."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil

from infra.local import prepare
from infra.local.engines import Engine
from infra.local.ports import require_free
from infra.local.programs import Service, local_engines, services
from infra.local.settings import MARK, StackSettings
from infra.local.supervisor import ENDED, Program, State, Supervisor
from shared.errors import BadSettings, Unavailable

Step = Callable[[str], AbstractContextManager[None]]
"""Shows that a named step runs, and how long it took."""


@contextmanager
def silent(_: str) -> Iterator[None]:
    """A step that nobody watches."""
    yield


class Stack:
    """Engines and services under one process manager.

    Args:
        settings: with the addresses resolved.
        name: of the folder under the state folder that holds this stack's data.
        step: what shows the progress.
    """

    def __init__(self, settings: StackSettings, name: str = "stack", step: Step = silent) -> None:
        self.settings, self.step = settings, step
        self.data = settings.state.absolute() / name
        self.manager = Supervisor(settings.state, settings.socket)
        self.services = services(settings)

    @property
    def owns_engines(self) -> bool:
        """Whether all engines are the stack's own, so that their data may be dropped and copied."""
        return not any(self.settings.external(engine) for engine in ("kafka", "redis", "s3"))

    @property
    def variables(self) -> dict[str, str]:
        """The environment of every process of this stack."""
        unless_set = {
            "FRESHET_UPDATER_RUNS": str(self.data.parent / "runs" / self.data.name),
            "FRESHET_TEXTS": str(self.data / "updater" / "texts"),
        }
        history = str(prepare.history(self.data))
        return {**unless_set, **os.environ, **self.settings.environment(), "FRESHET_FEATURES_HISTORY": history}

    def folder(self, name: str) -> Path:
        """The working folder of a program, where its relative paths lie."""
        folder = self.data / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def check(self) -> None:
        """Make sure that the stack can start.

        Raises:
            BadSettings: it runs already, the disk is full or a port is taken.
        """
        if self.manager.running():
            raise BadSettings("the stack runs already: `freshet status` shows it, `freshet down` stops it")
        self.settings.state.mkdir(parents=True, exist_ok=True)
        prepare.require_room(self.settings.state)
        local = local_engines(self.settings, self.data)
        require_free({port: engine.name for engine in local for port in engine.ports})
        require_free({service.port: service.name for service in self.services})

    def start_engines(self) -> None:
        """Start the manager and the engines.

        Raises:
            Unavailable: an engine did not answer in time.
        """
        local = local_engines(self.settings, self.data)
        prepare.keys(self.settings)
        with self.step("engines: Apache Kafka, Valkey, SeaweedFS" if local else "process manager"):
            self._launch(local)
            for engine in local:
                self.manager.start(engine.name)
            self._wait({engine.name: engine.answers for engine in local}, 90)

    def prepare(self) -> None:
        """Make what the services need of the engines, as far as it is missing: topics, bucket, declared features."""
        with self.step("topics and bucket"):
            prepare.topics(self.settings)
            prepare.bucket(self.settings)
        with self.step("declared features (feast apply, when they changed)"):
            prepare.features(self.settings, prepare.history(self.data))

    def start_services(self, without: frozenset[str] = frozenset()) -> None:
        """Start the services, but for those in ``without``, and wait until each is ready.

        Raises:
            Unavailable: one ended, or was not ready in time; says what it said last.
        """
        started = [service for service in self.services if service.name not in without]
        with self.step("services: " + ", ".join(service.name for service in started)):
            for service in started:
                self.manager.start(service.name)
            self._wait({service.name: _ready(service) for service in started}, 120)

    @contextmanager
    def paused(self, names: tuple[str, ...]) -> Iterator[None]:
        """These engines are stopped while this lasts, so that their data may be copied."""
        self.manager.stop(list(names))
        yield
        local = [engine for engine in local_engines(self.settings, self.data) if engine.name in names]
        for engine in local:
            self.manager.start(engine.name)
        self._wait({engine.name: engine.answers for engine in local}, 90)

    def stop(self) -> bool:
        """Stop all in order: doors, then what reads behind them, then the engines; whether anything ran."""
        ran = self.manager.running()
        if ran:
            states = self.manager.states()
            with self.step("services stop"):
                self.manager.stop([name for name in ("ranking", "collector") if name in states])
                self.manager.stop([service.name for service in self.services if service.name in states])
            with self.step("engines stop"):
                self.manager.stop([name for name in ("kafka", "seaweed", "valkey") if name in states])
                self.manager.shutdown()
        return end_leftovers(self.settings.state) or ran

    def states(self) -> dict[str, State]:
        """What the manager knows of each program; nothing where no stack runs."""
        return self.manager.states() if self.manager.running() else {}

    def _launch(self, local: list[Engine]) -> None:
        for engine in local:
            engine.home.mkdir(parents=True, exist_ok=True)
            engine.prepare()
        kept = [Program(engine.name, engine.command, engine.home) for engine in local]
        kept += [service.program(self.folder(service.name)) for service in self.services]
        self.manager.launch(kept, self.variables)

    def _wait(self, awaited: dict[str, Callable[[int], bool]], wait_s: float) -> None:
        """Until each program answers; gives up at once where one ended instead."""
        deadline, pids, left = time.monotonic() + wait_s, dict[str, int](), dict(awaited)
        while left:
            states = self.manager.states()
            for name, answers in list(left.items()):
                state = states[name]
                if state.state in ENDED or pids.setdefault(name, state.pid) not in (0, state.pid):
                    raise Unavailable(f"{name} ended while starting: {prepare.last_line(state.log)} (see {state.log})")
                pids[name] = state.pid
                if state.pid and answers(state.pid):
                    del left[name]
            if time.monotonic() > deadline:
                raise Unavailable(f"not ready within {wait_s:.0f} s: {', '.join(left)}; see {self.settings.state / 'logs'}")
            time.sleep(0.1)


def _ready(service: Service) -> Callable[[int], bool]:
    return lambda _: service.ready()


def end_leftovers(state: Path, wait_s: float = 10.0) -> bool:
    """End processes of a stack whose manager died: those that carry its mark; whether any did."""
    mine, wanted = psutil.Process(), str(state.absolute())
    spared = {mine.pid, *(parent.pid for parent in mine.parents())}
    left = [process for process in psutil.process_iter() if process.pid not in spared and _state_of(process) == wanted]
    for process in left:
        process.terminate()
    for process in psutil.wait_procs(left, timeout=wait_s)[1]:
        process.kill()
    return bool(left)


def _state_of(process: psutil.Process) -> str:
    try:
        return process.environ().get(MARK, "")
    except (psutil.Error, OSError):
        return ""  # another user's, or already gone
