"""What runs once before the services: each ground asks for a command that there is, and finds room for what it leaves behind."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from infra.images import history
from infra.local import engines, prepare
from infra.local.cli import app
from infra.local.ports import free_block
from shared.bundles.objects import MemoryObjects
from shared.errors import BadSettings
from tests.compose.project import ROOT, services
from tests.terraform.tables import TERRAFORM

COMMANDS = set(typer.main.get_group(app).commands)
STATE = re.search(r"ln -s (\S+) \.state", (ROOT / "infra" / "images" / "Dockerfile").read_text())
"""Where the command line's image has its state folder."""


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[str]:
    """A Valkey of this test's own; its address."""
    engine = engines.valkey(tmp_path / "valkey", free_block(1))
    engine.start()
    yield f"redis://127.0.0.1:{engine.ports[0]}/0"
    engine.kill()


def test_compose_asks_the_command_line_for_commands_that_it_has() -> None:
    asked = {service["command"][1] for service in services().values() if service.get("command", [""])[0] == "infra.local.cli"}
    assert asked == {"topics", "features"}
    assert asked <= COMMANDS


def test_the_page_of_aws_asks_the_command_line_for_commands_that_it_has() -> None:
    """A task of ECS takes a command and keeps the image's entry point."""
    asked = re.findall(r"run jobs '(\[.*?\])'", (TERRAFORM / "examples" / "complete" / "README.md").read_text())
    assert [json.loads(command) for command in asked] == [["topics"], ["features"]]


def test_the_state_of_the_image_lies_where_compose_and_ecs_let_it_be_written() -> None:
    assert STATE
    mounted = re.search(r'state = "([^"]+)"', (TERRAFORM / "modules" / "service" / "task.tf").read_text())
    assert mounted
    assert STATE[1] == mounted[1]  # the volume itself, which is empty at first: a folder in it would be missing
    registry = prepare.REGISTRY_MARK.parent.relative_to(ROOT / ".state")
    assert f"feast:{STATE[1]}/{registry}" in services()["apply"]["volumes"]


def test_the_declared_features_are_applied_over_an_empty_volume_and_once(tmp_path: Path, valkey: str) -> None:
    image = tmp_path / "app"
    for folder in ("feature_repo", "infra", "services", "shared"):
        shutil.copytree(ROOT / folder, image / folder, ignore=shutil.ignore_patterns("__pycache__", "terraform"))
    shutil.copy(ROOT / "requirements.lock", image)
    (tmp_path / "volume").mkdir()
    (image / ".state").symlink_to(tmp_path / "volume")
    outside = {name: value for name, value in os.environ.items() if not name.startswith("FRESHET_")}
    told = {"FRESHET_REDIS": valkey, "FRESHET_S3": "", "FRESHET_FEATURES_HISTORY": "s3://shop/history", "PYTHONPATH": str(image)}

    def run() -> str:
        command = [sys.executable, "-m", "infra.local.cli", "features"]
        done = subprocess.run(command, cwd=image, env=outside | told, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "are applied" in run()
    assert (tmp_path / "volume" / "feast" / "registry.db").exists()
    assert "nothing changed" in run()


def test_a_past_in_a_bucket_is_brought_to_a_folder(tmp_path: Path) -> None:
    objects = MemoryObjects()
    for key in ("ranking/past/items.ndjson", "ranking/past/behaviour.ndjson", "ranking/pasture/items.parquet"):
        objects.create(key, key.encode())
    history.fetch(objects, "ranking/past", tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        name: f"ranking/past/{name}" for name in ("items.ndjson", "behaviour.ndjson")
    }
    with pytest.raises(BadSettings, match="nothing below ranking/future"):
        history.fetch(objects, "ranking/future", tmp_path)
