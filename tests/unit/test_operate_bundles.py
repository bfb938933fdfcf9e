"""The operator pins only what ranking would accept, and a pin names all that a version rests on."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.local.operate import bundles
from services.updater import recovery
from shared.bundles.objects import MemoryObjects
from shared.bundles.storage import Storage
from shared.errors import BadInput, BundleRefused
from tests.bundles import Publisher, a_key, a_model
from tests.unit.test_live_model import live_model


@pytest.fixture
def publisher() -> Publisher:
    made = Publisher(Storage(MemoryObjects(), "ranking"), a_key(), a_model())
    made.full()
    made.delta()
    made.delta(dense=False, new_items=3)
    return made


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "verify.pem"
    path.write_bytes(a_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def test_a_pin_names_the_full_bundle_and_the_deltas_up_to_the_version(publisher: Publisher, key: Path) -> None:
    full, first, second = publisher.storage.versions()
    pointer = bundles.pin(publisher.storage, first, key, now=5.0)
    assert (pointer.version, pointer.full, pointer.deltas) == (first, full, (first,))
    assert publisher.storage.pointer("pin") == pointer
    assert bundles.pointer_to(publisher.storage, second, 1.0) == publisher.pointer()


async def test_readers_that_are_held_stay_until_a_person_approves(publisher: Publisher, key: Path) -> None:
    storage, live = publisher.storage, live_model(publisher)

    async def serves() -> str:
        await live.advance()
        return live.current.manifest.version

    held = bundles.hold(storage, key, now=5.0)
    assert held.version == publisher.pointer().version
    second, third = publisher.delta(), publisher.full()
    assert bundles.hold(storage, key, now=6.0) == held  # a second hold moves nobody
    assert await serves() == held.version
    bundles.approve(storage, second.version, key, now=7.0)
    fourth = publisher.delta()
    assert await serves() == second.version
    assert bundles.approve(storage, None, key, now=8.0).version == fourth.version
    assert await serves() == fourth.version
    fifth = publisher.delta()
    assert await serves() == fifth.version > third.version


async def test_only_what_may_be_served_is_approved_and_only_where_something_is_held(publisher: Publisher, key: Path) -> None:
    with pytest.raises(BadInput, match="nothing is held"):
        bundles.approve(publisher.storage, None, key, now=5.0)
    held = bundles.hold(publisher.storage, key, now=5.0)
    forged = Publisher(publisher.storage, a_key(2), a_model(), window=7).full()
    for version in (forged.version, None):  # by name, and as the newest
        with pytest.raises(BundleRefused, match=r"signature|trusted"):
            bundles.approve(publisher.storage, version, key, now=6.0)
        assert publisher.storage.pointer("pin") == held


def test_before_anything_is_published_nothing_can_be_held(key: Path) -> None:
    with pytest.raises(BadInput, match="nothing is published"):
        bundles.hold(Storage(MemoryObjects(), "ranking"), key, now=5.0)


def test_a_forged_bundle_is_not_pinned(publisher: Publisher, key: Path) -> None:
    other = Publisher(publisher.storage, a_key(2), a_model(), window=7)
    forged = other.full()
    with pytest.raises(BundleRefused, match="signature") as refused:
        bundles.pin(publisher.storage, forged.version, key, now=5.0)
    assert refused.value.code == "forged"
    assert publisher.storage.pointer("pin") is None


def test_a_version_that_is_not_there_is_said_to_be_missing(publisher: Publisher, key: Path) -> None:
    with pytest.raises(BundleRefused, match="there is no bundle 00000099-0001 of ranking"):
        bundles.verify(publisher.storage, "00000099-0001", key, now=5.0)


@pytest.mark.parametrize("walk", [lambda storage, version: bundles.pointer_to(storage, version, 5.0), recovery.chain_to])
def test_what_no_longer_rests_on_a_full_bundle_is_refused(walk: Callable[[Storage, str], object], publisher: Publisher) -> None:
    storage = publisher.storage
    full, first, second = storage.versions()
    orphan = msgspec.structs.replace(storage.manifest(first), version="00000009-0001", parent=None)
    storage.put_manifest(orphan)
    with pytest.raises(BundleRefused, match="the delta 00000009-0001 names no parent"):
        walk(storage, orphan.version)
    storage.objects.delete(storage.manifest_key(full))
    with pytest.raises(BundleRefused, match=f"there is no bundle {full} of ranking"):
        walk(storage, second)


def test_the_list_begins_with_the_newest(publisher: Publisher) -> None:
    assert [one.version for one in bundles.listed(publisher.storage, 2)] == publisher.storage.versions()[:0:-1]
