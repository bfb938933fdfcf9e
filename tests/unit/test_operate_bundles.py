"""The operator pins only what ranking would accept, and a pin names all that a version rests on."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.local.operate import bundles
from shared.bundles.objects import MemoryObjects
from shared.bundles.storage import Storage
from shared.errors import BundleRefused
from tests.bundles import Publisher, a_key, a_model


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


def test_the_list_begins_with_the_newest(publisher: Publisher) -> None:
    assert [one.version for one in bundles.listed(publisher.storage, 2)] == publisher.storage.versions()[:0:-1]
