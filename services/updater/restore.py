"""Going back: learning starts again from an older bundle's checkpoint, and passes through the windows since without some of them.

``python -m services.updater.restore VERSION [WINDOW ...]`` writes the new plans. They carry an epoch above the running updater's,
which therefore stops at its next plan, starts again, and follows them; readers go back to VERSION first.
"""

import asyncio
import sys
import time

import msgspec

from services.updater.checkpoints import Checkpoints
from services.updater.kafka_windows import PlanLog
from services.updater.plans import Plans, replanned, window_of
from services.updater.settings import UpdaterSettings
from shared import topics
from shared.bundles.storage import Storage
from shared.errors import BadInput, FreshetError
from shared.kafka import consumer, deliver, producer, started
from shared.telemetry import log


async def restore(settings: UpdaterSettings, version: str, without: frozenset[int]) -> int:
    """Write the plans that take learning back; how many windows are learned again.

    Args:
        version: a bundle that has a checkpoint.
        without: windows that are left out from now on.

    Raises:
        BundleRefused: ``missing``: there is no such checkpoint.
        BadInput: a window to leave out was not learned since.
    """
    progress, _ = Checkpoints(Storage.connect(settings)).load(version)
    plans = Plans(window=progress.window, epoch=progress.epoch, next_offset=progress.plans_offset)
    reader, send = await started(consumer(settings)), await started(producer(settings))
    try:
        await PlanLog(settings.task, reader, send, plans).follow()
        again = replanned(settings.task, plans, version, without, planned_at=time.time())
        for plan in again:
            await deliver(send, topics.windows(settings.task), msgspec.msgpack.encode(plan), partition=0)
    except ValueError as error:
        raise BadInput(f"{error}; windows {window_of(version) + 1} to {plans.window} were learned since") from None
    finally:
        await reader.stop()
        await send.stop()
    return sum(bool(plan.ranges) and not plan.without for plan in again)


if __name__ == "__main__":
    settings = UpdaterSettings.read()
    logger = log("updater", settings.log_level)
    try:
        version, *windows = sys.argv[1:] or [""]
        again = asyncio.run(restore(settings, version, frozenset(map(int, windows))))
    except FreshetError as error:
        logger.error("not restored", reason=str(error))
        sys.exit(1)
    logger.info("restored", bundle=version, learned_again=again, without=windows)
