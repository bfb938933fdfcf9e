"""What the stack consists of: the engines, then the services, in the order of their start."""

import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from infra.local import engines
from infra.local.engines import Engine
from infra.local.settings import StackSettings
from infra.local.supervisor import Program

SERVICES = ("features", "joiner", "updater", "collector", "ranking")


@dataclass(frozen=True, slots=True)
class Service:
    """A deployable of ours, in the local stack."""

    name: str
    host: str
    port: int

    def ready(self) -> bool:
        """Whether ``/readyz`` answers 200."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def program(self, directory: Path) -> Program:
        """How it is run."""
        return Program(self.name, (sys.executable, "-m", f"services.{self.name}"), directory)


def services(settings: StackSettings) -> list[Service]:
    """The five that run all the time."""
    return [Service(name, name if settings.by_name else settings.host, getattr(settings, f"{name}_port")) for name in SERVICES]


def local_engines(settings: StackSettings, data: Path) -> list[Engine]:
    """The engines that the stack runs itself, with their data under ``data``."""
    made = []
    if not settings.external("redis"):
        made.append(engines.valkey(data / "valkey", settings.redis_port))
    if not settings.external("s3"):
        made.append(engines.seaweed(data / "s3", settings.s3_port))
    if not settings.external("kafka"):
        made.append(engines.kafka(data / "kafka", settings.kafka_port))
    return made
