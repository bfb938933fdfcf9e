"""``python -m infra.local.example > .env.example``: every setting of every service with its default and its meaning."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from infra.local.settings import ROOT
from shared.settings import Settings

HEAD = """\
# Every setting, with its default. Settings are read from the environment and from nowhere else:
#     set -a; . ./.env; set +a
# Made by `python -m infra.local.example > .env.example`; a test holds the two together.
"""

FOREIGN = """
# --- not ours

# Credentials of the object storage; the local stack sets its own. `docker compose` starts its storage with them.
AWS_ACCESS_KEY_ID=freshet
AWS_SECRET_ACCESS_KEY=

# --- docker-compose.yml

# `docker compose` reads `.env` itself. Its FRESHET_CLOCK is `event` unless it is set.

# What runs beside the loop: `cpu` or `gpu` for the updater, `demo` for the shopper. `--profile` replaces this list.
COMPOSE_PROFILES=cpu
# Tag of the services' images.
FRESHET_VERSION=dev
PYTHON_IMAGE=python:3.11-slim-bookworm
KAFKA_IMAGE=apache/kafka:4.3.1
VALKEY_IMAGE=valkey/valkey:9.1.0-alpine
SEAWEEDFS_IMAGE=chrislusf/seaweedfs:4.46
HAPROXY_IMAGE=haproxy:3.2-alpine
PROMETHEUS_IMAGE=prom/prometheus:v3.13.1
GRAFANA_IMAGE=grafana/grafana:13.1.0
PROMETHEUS_PORT=9090
GRAFANA_PORT=3000
# Of Grafana's user `admin`; to be chosen, as the storage's secret above.
GRAFANA_PASSWORD=
"""


def modules() -> list[str]:
    """Where settings are declared, the shared ones first."""
    paths = (path for part in ("shared", "services") for path in sorted(ROOT.glob(f"{part}/*/settings.py")))
    return ["shared.settings", *(f"{path.parts[-3]}.{path.parts[-2]}.settings" for path in paths), "infra.local.settings"]


def declared(module: str) -> Iterator[tuple[str, FieldInfo, str]]:
    """A module's own settings: name, field, meaning."""
    for _, found in inspect.getmembers(importlib.import_module(module), inspect.isclass):
        if issubclass(found, Settings) and found.__module__ == module:
            meanings = _meanings(found)
            inherited = {name for base in found.__mro__[1:] for name in getattr(base, "__annotations__", {})}
            yield from (
                (name, field, meanings.get(name, "")) for name, field in found.model_fields.items() if name not in inherited
            )


def text() -> str:
    """The whole file. A setting that two modules declare is written once."""
    written, parts = set[str](), [HEAD]
    for module in modules():
        lines = []
        for name, field, meaning in declared(module):
            if name not in written:
                written.add(name)
                lines.append(f"# {meaning}\n" if meaning else "")
                lines.append(f"#FRESHET_{name.upper()}={_default(field)}\n")
        if lines:
            parts.append(f"\n# --- {module.removesuffix('.settings').replace('.', '/')}\n\n{''.join(lines)}")
    return "".join(parts) + FOREIGN


def _meanings(settings: type[Settings]) -> dict[str, str]:
    """Field → the docstring below it, in one line."""
    body = ast.parse(inspect.getsource(settings)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            found[field.target.id] = " ".join(str(ast.literal_eval(below.value)).replace("``", "`").split())
    return found


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is PydanticUndefined or value is None:
        return ""
    if isinstance(value, Path) and value.is_absolute():
        return str(value.relative_to(ROOT))
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    print(text(), end="")
