"""What the README points at is there."""

import re
from pathlib import Path

import pytest

from infra.local.settings import ROOT

TABLE = re.compile(r"^\| (?P<folders>`.*`) \| .* \| (?P<entries>`.*`) \|$", re.MULTILINE)
ROWS = [(row["folders"], row["entries"]) for row in TABLE.finditer((ROOT / "README.md").read_text())]


@pytest.mark.parametrize(("folders", "entries"), ROWS)
def test_each_folder_has_its_entry_file(folders: str, entries: str) -> None:
    here = [ROOT / name for name in re.findall(r"`(.*?)`", folders)]
    assert all(path.exists() for path in here)
    for entry in re.findall(r"`(.*?)`", entries):
        assert any((place / entry).exists() for place in (here[0], ROOT)), entry


def test_the_table_is_read() -> None:
    assert len(ROWS) > 8


@pytest.mark.parametrize("readme", sorted((ROOT / "services").glob("*/README.md")), ids=lambda path: path.parent.name)
def test_a_service_is_told_of_in_thirty_lines(readme: Path) -> None:
    assert len(readme.read_text().splitlines()) <= 30
