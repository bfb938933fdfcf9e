"""An import that cannot end well is refused before it reads, encodes and learns."""

from pathlib import Path

import pytest
import structlog

from services.updater.history.importing import main
from services.updater.settings import HistorySettings
from shared.bundles.objects import MemoryObjects
from shared.bundles.storage import Storage
from shared.errors import BadSettings
from tests.bundles import Publisher, a_key, a_model


@pytest.mark.parametrize("folder", [None, Path("nowhere")])
def test_a_second_history_is_refused_at_once(folder: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(MemoryObjects(), "ranking")
    Publisher(storage, a_key(), a_model()).full()
    monkeypatch.setattr(Storage, "connect", lambda settings: storage)
    settings = HistorySettings(kafka="127.0.0.1:1", redis="redis://127.0.0.1:1/0", texts=tmp_path)
    with pytest.raises(BadSettings, match="ranking has bundles already; use another bucket or task"):
        main(settings, folder, structlog.stdlib.get_logger())
