"""The updater without one of its safeguards: what shows that the kill tests can fail.

``python -m tests.faults.hasty_updater plan`` learns a window before Kafka has its plan; ``again`` gives a bundle up when the
storage is away; ``epoch`` goes on although a newer updater took over; ``replay`` does not learn again what was planned since its
checkpoint; ``turn`` learns it again, but leaves out what those plans say of the race.
"""

import asyncio
import contextlib
import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import uvloop

from services.updater import __main__ as entry
from services.updater import loop
from services.updater.publishing.bundle import Release
from services.updater.publishing.publisher import Publisher, Saved
from services.updater.settings import UpdaterSettings
from services.updater.windows.kafka import KafkaWindows, PlanLog
from services.updater.windows.window import Window
from shared import tasks
from shared.bundles.manifest import Pointer
from shared.bundles.storage import Storage
from shared.errors import Unavailable
from shared.messages import Example, WindowPlan
from shared.telemetry import log
from shared.topics import windows
from tests.faults.racing_updater import TASK


def without_plan() -> None:
    """The plan is on its way, and that is enough."""
    on_their_way: set[asyncio.Task[Any]] = set()

    async def hasty(self: PlanLog, plan: WindowPlan) -> int:
        sending = self._producer.send_and_wait(windows(self._task), msgspec.msgpack.encode(plan), partition=0)
        on_their_way.add(asyncio.create_task(sending))
        return self.plans.next_offset

    claim = PlanLog.claim

    async def claim_in_order(self: PlanLog, floor: int) -> None:
        await claim(self, floor)
        PlanLog._send = hasty  # type: ignore[method-assign]

    PlanLog.claim = claim_in_order  # type: ignore[method-assign]


def without_again() -> None:
    """A bundle is sent once."""
    run = Publisher._run

    def once(self: Publisher, step: Callable[[], Any]) -> Any:
        return step()

    def given_up(self: Publisher, release: Release, saved: Saved | None, kept: frozenset[str]) -> None:
        with contextlib.suppress(Unavailable):
            run(self, release, saved, kept)

    Publisher._until_done, Publisher._run = once, given_up  # type: ignore[method-assign]


def without_epoch() -> None:
    """Plans are not compared with what a newer updater wrote, the pointer is moved whosever it is."""

    async def write(self: PlanLog, ranges: dict[str, tuple[int, int]], catalogues: tuple[str, ...], *said: Any) -> WindowPlan:
        plan = self._next(ranges, catalogues)
        await self._send(plan)
        self.plans.fold(self.plans.next_offset, plan)
        return plan

    def move(self: Storage, pointer: Pointer) -> None:
        self._move("latest", pointer, fence=False)

    PlanLog.write, Storage.move_latest = write, move  # type: ignore[method-assign]


def without_replay() -> None:
    """A life goes on after the last plan, and no plan is asked whether it begins where the one before ended."""
    begin = KafkaWindows.__init__

    def after(
        self: KafkaWindows, settings: UpdaterSettings, log: PlanLog, consumer: Any, letters: Any, replay: list[WindowPlan],
        offsets: dict[str, int], *more: Any,
    ) -> None:  # fmt: skip
        planned = {partition: end for plan in replay for partition, (_, end) in plan.ranges.items()}
        begin(self, settings, log, consumer, letters, [], offsets | planned, *more)

    def wherever(offsets: Mapping[str, int], plan: WindowPlan) -> dict[str, int]:
        return dict(offsets) | {partition: end for partition, (_, end) in plan.ranges.items()}

    KafkaWindows.__init__, loop.advanced = after, wherever  # type: ignore[method-assign, assignment]


def without_turn() -> None:
    """A life learns with its own champion, whatever earlier ones planned."""
    admit = loop.Student.admit

    def by_itself(self: loop.Student, window: Window) -> tuple[list[Example], Any]:
        alone = msgspec.structs.replace(window.plan, race=None) if window.replayed else window.plan
        return admit(self, dataclasses.replace(window, plan=alone))

    loop.Student.admit = by_itself  # type: ignore[method-assign]
    tasks.TASKS[TASK.name] = TASK


SAFEGUARDS = {"plan": without_plan, "again": without_again, "epoch": without_epoch, "replay": without_replay, "turn": without_turn}

if __name__ == "__main__":
    SAFEGUARDS[sys.argv[1]]()
    settings = UpdaterSettings.read()
    uvloop.run(entry.main(settings, log("updater", settings.log_level)))
