"""``python -m services.joiner``: join impressions with their outcomes until SIGTERM."""

import fcntl
from pathlib import Path
from typing import IO

from services.joiner import metrics
from services.joiner.app import BEHAVIOUR, IMPRESSIONS, Joiner
from services.joiner.clock import difference, require_near
from services.joiner.fit import Load, require_fit
from services.joiner.rule import Rule
from services.joiner.segments import SEGMENT_BYTES
from services.joiner.settings import JoinerSettings
from services.joiner.unlearned import FETCH_BYTES, Unlearned
from shared import kafka, topics, traces
from shared.errors import BadSettings
from shared.stream import App, serve
from shared.tasks import Task
from shared.telemetry import plainly


def own(folder: Path) -> IO[str]:
    """The worker's folder, locked while the process lives.

    Raises:
        BadSettings: another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise BadSettings(f"Another joiner has {folder}; give each its own FRESHET_JOINER_INSTANCE.") from None
    return lock


def check_fit(settings: JoinerSettings, joined: Task, folder: Path) -> None:
    """Refuse a window that does not fit."""
    load = Load(settings.joiner_rate, joined.attribution, settings.joiner_impression_bytes)
    limit, partitions = settings.joiner_memory_mb, settings.partitions
    require_fit(load, memory_mb=limit, folder=folder, partitions=partitions, segment_bytes=SEGMENT_BYTES)


async def build(settings: JoinerSettings, joined: Task, folder: Path) -> App:
    """The worker, wired, once the topics and the clocks are as they must be."""
    ours = topics.examples(joined.name), topics.windows(joined.name)
    await kafka.check_topics(settings, [IMPRESSIONS, BEHAVIOUR, *ours, topics.CLOCK, "dead-letters"])
    producer = await kafka.started(kafka.producer(settings))
    found = await difference(producer, settings.partitions)
    metrics.clock.set(found.ms / 1000)
    require_near(found, settings.joiner_skew_ms)
    group = settings.joiner_group or f"joiner-{joined.name}"
    traces.begin("joiner", settings)
    app = App(group, settings, instance=settings.joiner_instance, session=settings.joiner_session_s)
    rule = Rule.of(joined, settings.joiner_slack_ms, settings.joiner_skew_ms)
    joiner = Joiner(app, producer, rule, settings.partitions, folder)
    reader = await kafka.started(kafka.consumer(settings, max_partition_fetch_bytes=FETCH_BYTES))
    app.task(Unlearned(reader, joined.name, lambda: joiner.partitions.keys()).watch)
    return app


def main() -> None:
    """Run until SIGTERM."""
    with plainly("joiner"):
        settings = JoinerSettings.read()
        joined = settings.joined()
        folder = settings.joiner_folder / joined.name / settings.joiner_instance
        lock = own(folder)
        check_fit(settings, joined, folder)
    with lock:
        serve("joiner", settings.log_level, lambda: build(settings, joined, folder), (settings.host, settings.joiner_port))


if __name__ == "__main__":
    main()
