"""The compose file as compose would read it: anchors and merges resolved, each variable filled in."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DEVELOPMENT = ROOT / "infra" / "images" / "development.yml"
OUTWARD = ROOT / "infra" / "images" / "outward.yml"
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z][A-Z0-9_]*)(?P<how>:?[-?])?(?P<word>[^}]*)\}")
OURS = ("collector", "features", "joiner", "updater", "updater-gpu", "ranking", "shopper")
JOBS = ("keys", "topics", "bucket", "apply", "history")
ENGINES = ("kafka", "valkey", "seaweedfs")
LINE = re.compile(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


def example() -> dict[str, str]:
    """Every name of ``.env.example``, commented out or not, with its value there."""
    return dict(LINE.findall((ROOT / ".env.example").read_text()))


def variables() -> dict[str, set[str]]:
    """Every variable of the compose file, and in which ways it is asked for: ``:?``, ``:-``, ``-`` or bare."""
    found: dict[str, set[str]] = {}
    for match in VARIABLE.finditer(COMPOSE.read_text().replace("$$", "")):
        found.setdefault(match["name"], set()).add(match["how"] or "")
    return found


def project(file: Path = COMPOSE) -> dict[str, Any]:
    """The file, with anchors and merges resolved and each variable filled in."""
    given = {"COMPOSE_PROJECT_NAME": "freshet"}

    def value(match: re.Match[str]) -> str:
        default = match["how"] in (":-", "-")
        return given.get(match["name"]) or (match["word"] if default else f"given-{match['name'].lower()}")

    loaded: dict[str, Any] = yaml.safe_load(VARIABLE.sub(value, file.read_text()))
    return loaded


def services() -> dict[str, dict[str, Any]]:
    """Each service of the compose file."""
    found: dict[str, dict[str, Any]] = project()["services"]
    return found
