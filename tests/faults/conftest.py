"""Updaters and their load, for the tests that kill them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.faults.load import Load
from tests.updaters import Updaters, prepared


@pytest.fixture
def updaters(fresh_settings: Settings, tmp_path: Path) -> Iterator[Updaters]:
    """Those that a test starts are gone after it."""
    made = prepared(fresh_settings, tmp_path)
    yield made
    made.kill()


@pytest.fixture
def load(updaters: Updaters) -> Iterator[Load]:
    made = Load(updaters.settings)
    yield made
    made.stop()
