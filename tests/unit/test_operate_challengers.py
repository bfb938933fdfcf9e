"""What `freshet challengers` shows of a race."""

import msgspec
import numpy as np
import pytest

from infra.local.operate.challengers import changes, newest, rows
from services.updater.publishing.checkpoints import Checkpoints, Progress
from services.updater.race.standings import Standing
from shared.bundles.objects import MemoryObjects
from shared.bundles.storage import Storage
from shared.errors import BundleRefused
from shared.tasks import RANKING, LearningSettings

SLOW, FAST = LearningSettings(row_rate=0.01), LearningSettings(row_rate=0.1)


def test_the_newest_checkpoint_tells_the_race() -> None:
    storage = Storage(MemoryObjects(), "ranking")
    with pytest.raises(BundleRefused, match="no checkpoint yet"):
        newest(storage)
    standing = Standing.of(LearningSettings()).enter("c1", SLOW, 1).enter("c2", FAST, 1)
    standing = standing.count({"c1": np.full(100, 0.5), "c2": np.full(100, -0.5)})
    standing = standing.leave("c2").hold({"c1": "calibration"})
    for window, race in ((1, None), (2, standing)):
        progress = Progress(
            version=f"0000000{window}-0001", window=window, epoch=1, plans_offset=0, offsets={}, origins={}, race=race
        )
        Checkpoints(storage).save(progress, {})
    found = newest(storage)
    assert (found.window, found.race) == (2, standing)
    champion, held, left = rows(RANKING, found.race)
    assert (champion.name, champion.role, champion.gain, champion.settings) == ("c0", "champion", None, "as declared")
    assert (held.role, held.lists, held.gain, held.settings) == ("held: calibration", 100, 0.5, "row_rate=0.01")
    assert held.interval == standing.challengers[0].interval(0.05)
    assert (left.name, left.role, left.interval) == ("c2", "left", None)


def test_before_any_race_there_is_a_champion_alone() -> None:
    assert [(row.name, row.role) for row in rows(RANKING, None)] == [("c0", "champion")]


def test_settings_are_told_by_what_differs() -> None:
    settings = msgspec.structs.replace(LearningSettings(), dropout=0.0, batch=64)
    assert changes(settings, LearningSettings()) == "batch=64, dropout=0"
