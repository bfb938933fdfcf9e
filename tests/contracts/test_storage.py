"""The bucket in memory and real ones, versioned as on AWS or not, keep the same promises."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from infra.local import engines as local
from infra.local import probes
from shared.bundles.manifest import Manifest, Pointer, version
from shared.bundles.objects import Lost, MemoryObjects, Objects, S3Objects
from shared.bundles.signing import opened, sign, signing_key, verify_key, write_keys
from shared.bundles.storage import Storage
from shared.errors import BundleRefused, Fenced
from shared.messages import Inputs
from shared.settings import Settings


def a_manifest(window: int = 1, **changes: object) -> Manifest:
    return msgspec.structs.replace(
        Manifest(
            task="ranking", version=version(window, 1), window=window, epoch=1, kind="full", parent=None, created=1.5, files={},
            labels=("purchase",), inputs=Inputs(), dim=16, hidden=(128, 64), text_dim=384, tables={}, frozen=(), trainable=(),
        ),
        **changes,
    )  # fmt: skip


def a_pointer(window: int = 1, epoch: int = 1) -> Pointer:
    return Pointer(task="ranking", version=version(window, epoch), epoch=epoch, full=version(window, epoch), moved_at=float(window))


@pytest.fixture(params=["memory", *(pytest.param(name, marks=pytest.mark.engines) for name in ("s3", "versioned"))])
def objects(request: pytest.FixtureRequest) -> Iterator[Objects]:
    if request.param == "memory":
        yield MemoryObjects()
        return
    settings = request.getfixturevalue("fresh_settings")
    if request.param == "versioned":
        _version(settings)
    bucket = S3Objects.connect(settings)
    yield bucket
    bucket.close()


def _version(settings: Settings) -> None:
    with closing(probes.s3_client(settings.s3, local.CREDENTIALS)) as s3:
        s3.put_bucket_versioning(Bucket=settings.bucket, VersioningConfiguration={"Status": "Enabled"})


@pytest.fixture
def storage(objects: Objects) -> Storage:
    return Storage(objects, "ranking")


def test_a_key_is_created_once(objects: Objects) -> None:
    objects.create("a", b"first")
    with pytest.raises(Lost):
        objects.create("a", b"second")
    assert objects.read("a").data == b"first"


def test_a_replace_needs_the_tag_that_stands(objects: Objects) -> None:
    old = objects.create("a", b"1")
    new = objects.replace("a", b"2", old)
    with pytest.raises(Lost):
        objects.replace("a", b"3", old)
    with pytest.raises(Lost):
        objects.replace("missing", b"3", new)
    assert objects.read("a").data == b"2"


def test_a_missing_key_reads_as_nothing_and_may_be_deleted(objects: Objects) -> None:
    objects.delete("never")
    assert objects.read("never") is None


def test_a_deleted_key_is_in_no_list_and_may_be_created_again(objects: Objects) -> None:
    objects.create("a", b"1")
    objects.delete("a")
    assert objects.list("") == []
    objects.create("a", b"1")
    assert objects.read("a").data == b"1"


@pytest.mark.engines
def test_what_is_deleted_in_a_versioned_bucket_is_marked_and_still_there(fresh_settings: Settings) -> None:
    _version(fresh_settings)
    objects = S3Objects.connect(fresh_settings)
    objects.create("a", b"1")
    objects.delete("a")
    objects.close()
    with closing(probes.s3_client(fresh_settings.s3, local.CREDENTIALS)) as s3:
        found = s3.list_object_versions(Bucket=fresh_settings.bucket)
        assert [marker["Key"] for marker in found["DeleteMarkers"]] == ["a"]
        kept = s3.get_object(Bucket=fresh_settings.bucket, Key="a", VersionId=found["Versions"][0]["VersionId"])
        assert kept["Body"].read() == b"1"


def test_keys_are_listed_by_prefix(objects: Objects) -> None:
    for key in ("x/2", "x/1", "y/1"):
        objects.create(key, b".")
    assert objects.list("x/") == ["x/1", "x/2"]


def test_of_racing_creators_exactly_one_wins(objects: Objects) -> None:
    wins: list[int] = []

    def race(number: int) -> None:
        try:
            objects.create("race", b"%d" % number)
        except Lost:
            return
        wins.append(number)

    racers = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(wins) == 1
    assert objects.read("race").data == b"%d" % wins[0]


def test_a_blob_is_stored_once_under_its_hash(storage: Storage) -> None:
    file = storage.put_blob(b"vectors")
    assert storage.put_blob(b"vectors") == file
    assert storage.get_blob(file) == b"vectors"


def test_a_blob_with_other_bytes_is_refused(storage: Storage) -> None:
    file = storage.put_blob(b"vectors")
    storage.objects.delete(file.key("ranking"))
    with pytest.raises(BundleRefused, match="not in the storage"):
        storage.get_blob(file)
    storage.objects.create(file.key("ranking"), b"Vectors")
    with pytest.raises(BundleRefused, match="does not have the bytes"):
        storage.get_blob(file)


def test_a_manifest_is_written_once(storage: Storage) -> None:
    storage.put_manifest(a_manifest())
    storage.put_manifest(a_manifest())
    with pytest.raises(Fenced):
        storage.put_manifest(a_manifest(created=2.5))
    assert storage.manifest(version(1, 1)) == a_manifest()
    assert storage.versions() == [version(1, 1)]


def test_the_pointer_moves_by_epoch(storage: Storage) -> None:
    assert storage.served() is None
    storage.move_latest(a_pointer(window=3, epoch=2))
    storage.move_latest(a_pointer(window=2, epoch=2))
    with pytest.raises(Fenced, match="epoch 2"):
        storage.move_latest(a_pointer(window=4, epoch=1))
    assert storage.pointer("latest") == a_pointer(window=2, epoch=2)


def test_the_pin_comes_before_the_latest(storage: Storage) -> None:
    storage.move_latest(a_pointer(window=9))
    storage.pin(a_pointer(window=4))
    assert storage.served() == a_pointer(window=4)
    storage.unpin()
    assert storage.served() == a_pointer(window=9)


def test_only_the_right_key_opens_a_manifest(storage: Storage, tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        write_keys(tmp_path / name, tmp_path / f"{name}.pub")
    signed = sign(a_manifest(), signing_key(tmp_path / "ours"))
    storage.put_manifest(signed)
    data = storage.manifest_bytes(signed.version)
    assert opened(data, verify_key(tmp_path / "ours.pub")) == signed
    with pytest.raises(BundleRefused, match="not by a key"):
        opened(data, verify_key(tmp_path / "theirs.pub"))
    with pytest.raises(BundleRefused, match="not by a key"):
        opened(data.replace(b'"created":1.5', b'"created":1.6'), verify_key(tmp_path / "ours.pub"))


def test_a_field_that_this_reader_does_not_know_stays_under_the_signature(tmp_path: Path) -> None:
    write_keys(tmp_path / "key", tmp_path / "key.pub")
    private = signing_key(tmp_path / "key")
    newer = msgspec.json.decode(msgspec.json.encode(a_manifest())) | {"added_later": 1}
    newer.pop("signature")
    newer["signature"] = private.sign(msgspec.json.encode(newer, order="sorted")).hex()
    assert opened(msgspec.json.encode(newer), verify_key(tmp_path / "key.pub")).version == version(1, 1)
