"""Compose itself reads the files, where it is installed."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.compose.project import COMPOSE, DEVELOPMENT, OUTWARD, ROOT, project, services, variables

CLIENT = shutil.which("docker")
SAME = ("read_only", "cap_drop", "cap_add", "security_opt", "user", "privileged", "network_mode", "pids_limit", "restart")
GIVEN = {name: "given" for name, ways in variables().items() if ":?" in ways}


def compose(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("FRESHET_", "COMPOSE_"))}
    command = [CLIENT or "docker", "compose", "--env-file", os.devnull, *arguments]
    return subprocess.run(command, cwd=ROOT, env=outside | environment, capture_output=True, text=True)


pytestmark = pytest.mark.skipif(
    CLIENT is None or compose("version").returncode != 0,
    reason="docker compose is not installed: only the parsed file was looked at",
)


@pytest.mark.parametrize(
    "files", [(COMPOSE,), (COMPOSE, DEVELOPMENT), (COMPOSE, OUTWARD)], ids=["compose", "development", "outward"]
)
def test_compose_accepts_the_files(files: tuple[Path, ...]) -> None:
    named = [part for file in files for part in ("-f", str(file))]
    done = compose(*named, "--profile", "*", "config", "--services", **GIVEN)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == set(services())


def test_compose_reads_in_the_file_what_the_policies_read() -> None:
    """The two updaters have one name, so that they are read one after the other."""
    read: dict[str, Any] = {}
    for profiles in ("demo,operate", "gpu"):
        done = compose("config", "--format", "json", **GIVEN, COMPOSE_PROFILES=profiles)
        assert done.returncode == 0, done.stderr
        read |= json.loads(done.stdout)["services"]
    assert set(read) == set(services())
    for name, service in services().items():
        seen = read[name]
        assert {key: seen.get(key) for key in SAME} == {key: service.get(key) for key in SAME}, name
        assert set(seen["networks"]) == set(service["networks"]), name
        ports = [f"{port['host_ip']}:{port['published']}:{port['target']}" for port in seen.get("ports", [])]
        assert ports == service.get("ports", []), name
        waits = {other: how["condition"] for other, how in seen.get("depends_on", {}).items()}
        assert waits == {other: how["condition"] for other, how in service.get("depends_on", {}).items()}, name


def test_a_service_that_is_let_out_is_still_inside() -> None:
    for profiles in ("demo,operate", "gpu"):
        done = compose("-f", str(COMPOSE), "-f", str(OUTWARD), "config", "--format", "json", **GIVEN, COMPOSE_PROFILES=profiles)
        assert done.returncode == 0, done.stderr
        read = json.loads(done.stdout)["services"]
        for name in set(project(OUTWARD)["services"]) & set(read):
            assert set(read[name]["networks"]) == {"inside", "outside"}, name
    assert read["updater-gpu"]["networks"]["inside"] == {"aliases": ["updater"]}


@pytest.mark.parametrize(
    "given", [{}, {"FRESHET_S3": ""}, {"FRESHET_S3": "http://minio:9000"}], ids=["unset", "AWS itself", "another"]
)
def test_the_storage_is_our_own_unless_another_is_named_and_aws_where_none_is(given: dict[str, str]) -> None:
    done = compose("config", "--format", "json", **GIVEN, **given)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["services"]["ranking"]["environment"]["FRESHET_S3"]
    assert told == given.get("FRESHET_S3", "http://seaweedfs:8333")


@pytest.mark.parametrize("missing", sorted(GIVEN))
def test_compose_refuses_to_start_without_a_value_that_must_be_given(missing: str) -> None:
    done = compose("config", "--quiet", **{name: value for name, value in GIVEN.items() if name != missing})
    assert done.returncode != 0
    assert missing in done.stderr
