"""The model in service follows the pointer, and keeps serving whatever the pointer says."""

import msgspec
import pytest

from services.ranking import metrics
from services.ranking.live import LiveModel
from shared.bundles.objects import MemoryObjects, Object
from shared.bundles.reader import BundleReader
from shared.bundles.signing import AnyOf
from shared.bundles.storage import Storage
from shared.errors import StorageUnavailable
from shared.messages import Inputs
from tests.bundles import INPUTS, Publisher, a_key, a_model


class Plans:
    """What can be made, before and after a Field was added."""

    def __init__(self, inputs: Inputs = INPUTS, after: Inputs = INPUTS) -> None:
        self.inputs, self.after, self.reloads = inputs, after, 0

    async def reload(self) -> None:
        self.inputs, self.reloads = self.after, self.reloads + 1


class Moody(MemoryObjects):
    """A bucket that may be away."""

    away = False

    def read(self, key: str) -> Object | None:
        if self.away:
            raise StorageUnavailable("away")
        return super().read(key)


@pytest.fixture
def publisher() -> Publisher:
    made = Publisher(Storage(Moody(), "ranking"), a_key(), a_model())
    made.full()
    return made


def live_model(publisher: Publisher, plans: Plans | None = None) -> LiveModel:
    plans = plans or Plans()
    return LiveModel(BundleReader(publisher.storage, a_key().public_key(), lambda: plans.inputs), plans.reload, 1.0)


def refusals(code: str) -> float:
    return metrics.refused.labels(code)._value.get()


async def test_it_follows_deltas_fulls_pins_and_rollbacks(publisher: Publisher) -> None:
    live = live_model(publisher)
    first = publisher.pointer()
    await live.advance()
    for step in (publisher.delta, publisher.delta, publisher.full, publisher.delta):
        manifest = step()
        await live.advance()
        assert live.current.manifest.version == manifest.version
        assert live.current.sha256() == publisher.model.sha256()
    publisher.storage.pin(first)
    await live.advance()
    assert live.current.manifest.version == first.version
    publisher.storage.unpin()
    await live.advance()
    assert live.current.sha256() == publisher.model.sha256()


async def test_it_follows_across_a_rotation_of_the_key(publisher: Publisher) -> None:
    both = AnyOf(a_key().public_key(), a_key(2).public_key())
    live, before = LiveModel(BundleReader(publisher.storage, both), Plans().reload, 1.0), refusals("forged")
    await live.advance()
    for signer, step in ((a_key(), publisher.delta), (a_key(2), publisher.delta), (a_key(2), publisher.full)):
        publisher.signer = signer
        manifest = step()
        await live.advance()
        assert live.current.manifest.version == manifest.version
    publisher.signer = a_key(3)
    publisher.delta()
    await live.advance()
    assert (live.current.manifest.version, refusals("forged")) == (manifest.version, before + 1)


async def test_without_a_pointer_there_is_nothing_to_serve() -> None:
    live = live_model(Publisher(Storage(MemoryObjects(), "ranking"), a_key(), a_model()))
    await live.advance()
    assert not live.loaded


async def test_a_storage_that_is_away_changes_nothing(publisher: Publisher) -> None:
    live = live_model(publisher)
    await live.advance()
    publisher.delta()
    publisher.storage.objects.away = True
    await live.advance()
    assert live.current.manifest.version == "00000000-0001"
    publisher.storage.objects.away = False
    await live.advance()
    assert live.current.manifest.version == "00000001-0001"


async def test_a_forged_bundle_is_refused_once_and_the_next_one_taken(publisher: Publisher) -> None:
    live, before = live_model(publisher), refusals("forged")
    await live.advance()
    good, publisher.signer = publisher.signer, a_key(2)
    publisher.delta()
    await live.advance()
    await live.advance()
    assert (live.current.manifest.version, refusals("forged")) == ("00000000-0001", before + 1)
    publisher.signer = good
    publisher.full()
    await live.advance()
    assert live.current.manifest.version == "00000002-0001"


async def test_a_bad_delta_halfway_leaves_the_good_ones_before_it(publisher: Publisher) -> None:
    live = live_model(publisher)
    await live.advance()
    publisher.delta()
    good = publisher.model.sha256()
    manifest = publisher.delta()
    publisher.storage.objects.delete(manifest.files["tables"].key("ranking"))
    await live.advance()
    assert live.current.manifest.version == "00000001-0001"
    assert live.current.sha256() == good


async def test_inputs_of_a_newer_plan_are_looked_up_before_they_are_refused(publisher: Publisher) -> None:
    older = Inputs(INPUTS.user[:1], INPUTS.candidate)
    learned = Plans(older, INPUTS)
    live = live_model(publisher, learned)
    await live.advance()
    assert (live.loaded, learned.reloads) == (True, 1)
    never, before = live_model(publisher, Plans(older, older)), refusals("inputs")
    await never.advance()
    assert (never.loaded, refusals("inputs")) == (False, before + 1)


async def test_inputs_that_are_declared_later_are_found_though_the_pointer_stays(publisher: Publisher) -> None:
    older = Inputs(INPUTS.user[:1], INPUTS.candidate)
    declared, before = Plans(older, older), refusals("inputs")
    live = live_model(publisher, declared)
    for _ in range(3):
        await live.advance()
    assert (live.loaded, declared.reloads, refusals("inputs")) == (False, 3, before + 1)
    declared.after = INPUTS
    await live.advance()
    assert live.current.manifest.version == "00000000-0001"


async def test_what_is_refused_for_another_reason_once_its_inputs_are_there_is_told_once(publisher: Publisher) -> None:
    older = Inputs(INPUTS.user[:1], INPUTS.candidate)
    declared, before = Plans(older, older), refusals("corrupt")
    publisher.storage.objects.delete(publisher.full().files["tables"].key("ranking"))
    live = live_model(publisher, declared)
    await live.advance()
    declared.after = INPUTS
    for _ in range(2):
        await live.advance()
    assert (live.loaded, refusals("corrupt")) == (False, before + 1)


async def test_a_pointer_that_cannot_be_read_is_refused(publisher: Publisher) -> None:
    live, before = live_model(publisher), refusals("corrupt")
    await live.advance()
    found = publisher.storage.objects.read("ranking/latest.json")
    publisher.storage.objects.replace("ranking/latest.json", b"{", found.etag)
    await live.advance()
    assert live.loaded
    assert refusals("corrupt") == before + 1


async def test_a_pointer_whose_deltas_do_not_reach_it_is_refused(publisher: Publisher) -> None:
    publisher.delta()
    pointer = msgspec.structs.replace(publisher.pointer(), deltas=())
    publisher.storage.pin(pointer)
    live, before = live_model(publisher), refusals("gap")
    await live.advance()
    assert (live.loaded, refusals("gap")) == (False, before + 1)
