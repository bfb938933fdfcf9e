"""The operators' verbs on real engines: dead letters are counted and sent again, learning is taken back to a checkpoint."""

import json
from typing import NamedTuple

import msgspec
import pytest

from infra.local.operate import bundles, dead_letters
from infra.local.records import records
from services.updater.publishing.checkpoints import Checkpoints, Progress
from shared.bundles.storage import Storage
from shared.dead_letters import DeadLetters
from shared.errors import BadInput, BundleRefused
from shared.kafka import deliver, partition_for, producer, started
from shared.messages import WindowPlan
from shared.settings import Settings
from shared.topics import windows

pytestmark = pytest.mark.engines
BASE = "00000000-0001"


class Read(NamedTuple):
    offset: int
    topic: str = "behaviour"
    partition: int = 0
    key: bytes | None = b"ana"
    value: bytes | None = b"{}"
    timestamp: float = 1_700_000_000_000


async def _letters(settings: Settings, *found: tuple[str, Read], service: str = "joiner") -> None:
    client = await started(producer(settings))
    sender = DeadLetters(client, service)
    for reason, record in found:
        await sender.send(reason, "as the test says", record)
    await client.stop()


async def test_dead_letters_are_counted_by_origin_and_sent_again_to_where_their_key_belongs(fresh_settings: Settings) -> None:
    wrong, unknown = Read(1, partition=(partition_for("ana", 4) + 1) % 4, value=b'{"misrouted":1}'), Read(2)
    await _letters(fresh_settings, ("misrouted", wrong), ("misrouted", wrong), ("unknown", unknown))
    found = await dead_letters.letters(fresh_settings)
    assert dead_letters.counts(found) == {("joiner", "misrouted", "behaviour"): 1, ("joiner", "unknown", "behaviour"): 1}
    chosen = await dead_letters.letters(fresh_settings, reason="misrouted")
    assert await dead_letters.send_again(fresh_settings, chosen) == 1
    sent = [record async for record in records(fresh_settings, "behaviour")]
    assert [(record.partition, json.loads(record.value)) for record in sent] == [(partition_for("ana", 4), {"misrouted": 1})]


async def test_a_record_that_two_services_could_not_use_is_sent_again_once(fresh_settings: Settings) -> None:
    for service in ("joiner", "features"):
        await _letters(fresh_settings, ("misrouted", Read(1)), service=service)
    found = await dead_letters.letters(fresh_settings)
    assert len(found) == 2
    assert await dead_letters.send_again(fresh_settings, found) == 1


async def _plan(settings: Settings, *plans: WindowPlan) -> None:
    client = await started(producer(settings))
    for plan in plans:
        await deliver(client, windows("ranking"), msgspec.msgpack.encode(plan), partition=0)
    await client.stop()


def _window(number: int, epoch: int = 1) -> WindowPlan:
    return WindowPlan(task="ranking", window=number, epoch=epoch, ranges={"0": (number * 10, number * 10 + 10)})


async def test_a_restore_plans_the_windows_after_the_checkpoint_again_without_the_named_ones(fresh_settings: Settings) -> None:
    await _plan(fresh_settings, _window(1), _window(2), _window(3))
    storage = Storage.connect(fresh_settings)
    Checkpoints(storage).save(Progress(version=BASE, window=0, epoch=1, plans_offset=0, offsets={}, origins={}), {})
    again = await bundles.restore(fresh_settings, BASE, [2], now=9.0)
    assert [(plan.window, plan.epoch, plan.restarts, plan.without) for plan in again] == [
        (5, 2, BASE, False),
        (6, 2, "", False),
        (7, 2, "", True),
        (8, 2, "", False),
        (9, 2, "", False),  # the claim
    ]
    folded = await bundles.folded(fresh_settings)
    assert [plan.window for plan in folded.lineage] == [5, 6, 7, 8, 9]


async def test_a_restore_to_what_has_no_checkpoint_changes_nothing(fresh_settings: Settings) -> None:
    await _plan(fresh_settings, _window(1))
    with pytest.raises(BundleRefused, match="there is no checkpoint of 00000001-0001; there is: none"):
        await bundles.restore(fresh_settings, "00000001-0001", [], now=9.0)
    Checkpoints(Storage.connect(fresh_settings)).save(
        Progress(version=BASE, window=0, epoch=1, plans_offset=0, offsets={}, origins={}), {}
    )
    with pytest.raises(BadInput, match=r"no window \[5\] among those after"):
        await bundles.restore(fresh_settings, BASE, [5], now=9.0)
    assert (await bundles.folded(fresh_settings)).window == 1
