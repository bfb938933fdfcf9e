"""The updater: learns from the task's examples, window by window, and publishes what it learned."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import uvloop
from structlog.stdlib import BoundLogger

from services.updater import exported, recovery
from services.updater.assembly import Beginning, Life, begin, student_of
from services.updater.learning import device, parallel
from services.updater.learning.parallel import Together
from services.updater.loop import follow, learn
from services.updater.publishing.checkpoints import Checkpoints
from services.updater.recovery import Checkpoint
from services.updater.runs import runs
from services.updater.settings import UpdaterSettings
from services.updater.texts.newcomers import Newcomers
from services.updater.texts.vectors import TextCache
from services.updater.tracking import Tracking
from services.updater.windows.kafka import Bridge, KafkaWindows, PlanLog
from shared import topics, traces
from shared.bundles.manifest import Pointer
from shared.bundles.signing import signing_key
from shared.bundles.storage import Storage
from shared.dead_letters import DeadLetters
from shared.errors import FreshetError, Unavailable
from shared.kafka import check_topics, consumer, deliver, producer, started
from shared.messages import BundleAnnouncement, Item
from shared.tasks import task
from shared.telemetry import Monitor, log, plainly

FIRST_LOOK_S = 1.0


async def main(settings: UpdaterSettings, logger: BoundLogger, together: Together | None = None) -> None:
    """One life: from the newest checkpoint to the signal that ends it; with the other processes of torchrun, if any."""
    ready = asyncio.Event()
    traces.begin("updater", settings)
    on_signals(asyncio.current_task().cancel)  # type: ignore[union-attr]  # until there is something to finish
    async with AsyncExitStack() as stack:
        monitor = Monitor(ready.is_set)
        await monitor.start(settings.host, settings.updater_port)
        stack.push_async_callback(monitor.stop)
        read = (topics.examples(settings.task), topics.windows(settings.task), Item.topic, BundleAnnouncement.topic)
        await check_topics(settings, read)
        send, *readers = [await started(make(settings)) for make in (producer, consumer, consumer, consumer)]
        for client in (send, *readers):
            stack.push_async_callback(client.stop)
        storage = Storage.connect(settings)
        pointer = await first_pointer(storage, logger)
        plans, beginning = await take_over(settings, storage, pointer, readers[0], send)
        tracking = Tracking(runs(settings, plans.epoch), logger)
        stack.push_async_callback(asyncio.to_thread, tracking.close, settings.stop_s)
        life = await asyncio.to_thread(
            begin, settings, task(settings.task), storage, signing_key(settings.signing_key), beginning, Announcer(send), logger,
            tracking.bundle,
        )  # fmt: skip
        stack.push_async_callback(asyncio.to_thread, life.control.end)
        progress = beginning.checkpoint.progress
        if together:
            await asyncio.to_thread(together.send, progress.version.encode())
            life.student.race.join(together)
        texts = await asyncio.to_thread(TextCache, settings.texts, storage.objects, settings.updater_encoder)
        newcomers = Newcomers(
            readers[1], settings.partitions, life.student.batcher.assortment, texts, storage,
            task(settings.task).model.text_dim, settings.encode_s, logger,
        )  # fmt: skip
        replay = plans.plans.after(progress.window)
        windows = KafkaWindows(
            settings, plans, readers[2], DeadLetters(send, "updater"), replay, progress.offsets, newcomers.take,
            life.releases.saved, life.student.race.turn, life.judge,
        )  # fmt: skip
        await windows.start()
        exported.epoch.set(plans.epoch)
        logger.info("begins", epoch=plans.epoch, checkpoint=progress.version, replays=len(replay), serves=beginning.chain.version)
        ready.set()
        await run(life, windows, newcomers, settings, logger)


def beside(settings: UpdaterSettings, together: Together) -> None:
    """The life of the other processes of torchrun: learn what rank 0 tells, from the checkpoint that it names, until it ends."""
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)  # rank 0 finishes first
    storage, version = Storage.connect(settings), together.receive().decode()
    student = student_of(task(settings.task), storage, Checkpoint(*Checkpoints(storage).load(version)))
    student.race.join(together)
    follow(together.told(), student)


async def first_pointer(storage: Storage, logger: BoundLogger) -> Pointer:
    """What is served; waits until history made the base bundle."""
    told = False
    while (pointer := await asyncio.to_thread(storage.pointer, "latest")) is None:
        if not told:
            logger.warning("waits for a base bundle: `python -m services.updater.history` makes it")
            told = True
        await asyncio.sleep(FIRST_LOOK_S)
    return pointer


async def take_over(
    settings: UpdaterSettings, storage: Storage, pointer: Pointer, reader: Any, send: Any
) -> tuple[PlanLog, Beginning]:
    """Claim an epoch, and find where learning goes on."""
    checkpoint = await asyncio.to_thread(recovery.newest, storage, pointer)
    plans = PlanLog(settings.task, reader, send, checkpoint.plans())
    await plans.claim(pointer.epoch)
    checkpoint, chain = await asyncio.to_thread(recovery.restored, storage, plans.plans, checkpoint, pointer)
    planned = tuple(name for plan in plans.plans.after(checkpoint.progress.window) for name in plan.catalogues)
    return plans, Beginning(checkpoint, chain, plans.epoch, planned)


async def run(life: Life, windows: KafkaWindows, newcomers: Newcomers, settings: UpdaterSettings, logger: BoundLogger) -> None:
    """Learn in a thread of its own until a signal or a failure; then publish what is left, with a checkpoint."""
    loop = asyncio.get_running_loop()
    on_signals(windows.stop)
    following = asyncio.create_task(newcomers.follow())
    together, read = life.student.learner.trainer.together, Bridge(windows, loop)
    told = together.tell(read) if together else read
    learning = asyncio.create_task(asyncio.to_thread(learn, told, life.student, life.prequential, life.releases, logger))
    try:
        await asyncio.wait({following, learning}, return_when=asyncio.FIRST_COMPLETED)
        windows.stop()
        await learning
        await asyncio.to_thread(life.releases.finish, life.student.position, time.monotonic(), settings.stop_s)
        logger.info("ends", window=life.student.position.window)
    finally:
        await asyncio.to_thread(life.releases.close)  # what is on its way may need this loop to announce it
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


def on_signals(stop: Callable[[], object]) -> None:
    """Stop so on SIGTERM and Ctrl-C."""
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop)


class Announcer:
    """Announces bundles from the publishing thread; create it on the event loop."""

    def __init__(self, send: Any) -> None:
        self._send, self._loop = send, asyncio.get_running_loop()

    def __call__(self, bundle: BundleAnnouncement) -> None:
        """Send it, and wait until Kafka has it.

        Raises:
            KafkaUnavailable: not acknowledged in time.
        """
        sending = deliver(self._send, bundle.topic, msgspec.json.encode(bundle), partition=0)
        asyncio.run_coroutine_threadsafe(sending, self._loop).result()


if __name__ == "__main__":
    with plainly("updater"):
        settings = UpdaterSettings.read()
        logger = log("updater", settings.log_level)
        together = parallel.joined(device.choose())
    try:
        if together and together.rank:
            beside(settings, together)
        else:
            uvloop.run(main(settings, logger, together))
        if together:
            together.leave()
    except asyncio.CancelledError:
        logger.info("ends before it began")
    except FreshetError as error:
        logger.error("stopped", reason=str(error), error=type(error).__name__, again=isinstance(error, Unavailable))
        sys.exit(1)
