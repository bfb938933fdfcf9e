"""Where the race stands: champion and challengers, as the newest checkpoint tells it."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from services.updater.publishing.checkpoints import Checkpoints, Progress
from services.updater.race.standings import Entrant, Standing
from shared.bundles.storage import Storage
from shared.errors import BundleRefused
from shared.tasks import LearningSettings, Task


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration."""

    name: str
    role: str
    """``champion``, ``challenger``, ``held: …`` by a guard, or ``left``."""
    window: int
    lists: int
    gain: float | None
    """Nats a row over the champion that it was compared with; ``None`` for the first champion."""
    interval: tuple[float, float] | None
    """At the race's ``alpha``; ``None`` for who is compared no more."""
    settings: str


def newest(storage: Storage) -> Progress:
    """What the newest checkpoint says of itself.

    Raises:
        BundleRefused: ``missing``: there is none.
    """
    checkpoints = Checkpoints(storage)
    versions = checkpoints.versions()
    if not versions:
        raise BundleRefused("missing", f"{storage.task} has no checkpoint yet: `freshet history` makes the first")
    return checkpoints.progress(versions[-1])


def rows(task: Task, standing: Standing | None) -> Iterator[Row]:
    """The champion, its challengers, then who left, newest first."""
    standing = standing or Standing.of(task.learning)
    yield _row(standing.champion, "champion", task, None)
    for one in standing.challengers:
        yield _row(one, f"held: {one.held}" if one.held else "challenger", task, one.interval(task.race.alpha))
    for one in reversed(standing.past):
        yield _row(one, "left", task, None)


def changes(settings: LearningSettings, declared: LearningSettings) -> str:
    """What differs from the task's own settings; ``as declared`` where nothing does."""
    before = msgspec.structs.asdict(declared)
    differ = {name: value for name, value in msgspec.structs.asdict(settings).items() if value != before[name]}
    told = (f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in differ.items())
    return ", ".join(told) or "as declared"


def _row(one: Entrant, role: str, task: Task, interval: tuple[float, float] | None) -> Row:
    gain = one.evidence.mean if one.test else None
    return Row(one.name, role, one.window, one.evidence.lists, gain, interval, changes(one.settings, task.learning))
