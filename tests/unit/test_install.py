"""What the environment cannot be made with or without is said before anything is fetched."""

import shutil
import subprocess
from pathlib import Path

import pytest

from infra.local.settings import ROOT

OLD = 'echo Python 3.9.1; [ "$1" = --version ]'
BARE = 'case "$*" in *ensurepip*) exit 1 ;; esac; echo Python 3.12.1'
FULL = r"printf 'Filesystem blocks Used Available\nhere 9 4 5000000\n'"
NAMES_ONE = "install one, or name it: make PYTHON="


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ({}, f"needs Python 3.11, 3.12 or 3.13 and found none: {NAMES_ONE}"),
        ({"python3": OLD}, f"needs Python 3.11, 3.12 or 3.13 and found Python 3.9.1: {NAMES_ONE}"),
        ({"python3": BARE}, "Python 3.12.1 has no venv module: install it"),
        ({"python3": "exit 0", "df": FULL}, "only 5 GB are free on this disk: free at least 9"),
    ],
    ids=["no Python", "another Python", "no venv", "no room"],
)
def test_a_machine_that_lacks_something_is_told_what(tmp_path: Path, programs: dict[str, str], said: str) -> None:
    script, path = tmp_path / "infra" / "local" / "install.sh", tmp_path / "bin"
    for folder in (script.parent, path):
        folder.mkdir(parents=True)
    shutil.copy(ROOT / "infra" / "local" / "install.sh", script)
    for name in ("dirname", "awk", "df"):
        (path / name).symlink_to(str(shutil.which(name)))
    for name, body in programs.items():
        (path / name).unlink(missing_ok=True)
        (path / name).write_text(f"#!/bin/sh\n{body}\n")
        (path / name).chmod(0o755)
    done = subprocess.run(["/bin/sh", script], env={"PATH": str(path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / ".venv").exists()
