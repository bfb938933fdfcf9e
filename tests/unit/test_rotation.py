"""While keys rotate, readers trust the old one and the new one, and nobody else at any step."""

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from infra.local import prepare, rotation
from infra.local.cli import app
from infra.local.settings import StackSettings
from shared.bundles.manifest import Manifest
from shared.bundles.objects import MemoryObjects
from shared.bundles.signing import opened, sign, signing_key, verify_key, write_keys
from shared.bundles.storage import Storage
from shared.errors import BadSettings, BundleRefused
from tests.bundles import Publisher, a_key, a_model


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The signing key's file, and that of the keys which readers trust."""
    pair = tmp_path / "signing.pem", tmp_path / "verify.pem"
    write_keys(*pair)
    return pair


@pytest.fixture
def manifest() -> Manifest:
    publisher = Publisher(Storage(MemoryObjects(), "ranking"), a_key(), a_model())
    return publisher.full()


def signed(manifest: Manifest, key: Path) -> bytes:
    return msgspec.json.encode(sign(manifest, signing_key(key)))


def trusts(files: tuple[Path, Path], data: bytes) -> bool:
    """Whether a reader that starts now opens it."""
    try:
        opened(data, verify_key(files[1]))
    except BundleRefused as error:
        return error.code != "forged"
    return True


def test_old_and_new_verify_in_between_and_a_third_never(files: tuple[Path, Path], manifest: Manifest, tmp_path: Path) -> None:
    write_keys(tmp_path / "third.pem", tmp_path / "third.pub")
    old, third = signed(manifest, files[0]), signed(manifest, tmp_path / "third.pem")
    rotation.make_next(*files)
    new = signed(manifest, rotation.following(files[0]))
    assert signed(manifest, files[0]) == old  # nobody signs with it yet
    assert [trusts(files, data) for data in (old, new, third)] == [True, True, False]
    rotation.promote(*files)
    assert signed(manifest, files[0]) == new
    assert [trusts(files, data) for data in (old, new, third)] == [True, True, False]
    rotation.retire(*files)
    assert [trusts(files, data) for data in (old, new, third)] == [False, True, False]
    rotation.retire(*files)
    assert [trusts(files, data) for data in (old, new, third)] == [False, True, False]


def test_a_step_that_was_interrupted_is_made_again(files: tuple[Path, Path]) -> None:
    before = files[1].read_bytes()
    rotation.make_next(*files)
    both = files[1].read_bytes()
    files[1].write_bytes(before)  # the key was made, and not yet trusted
    rotation.make_next(*files)
    rotation.make_next(*files)
    assert files[1].read_bytes() == both
    assert rotation.following(files[0]).stat().st_mode & 0o077 == 0


def test_no_step_may_lead_to_bundles_that_nobody_trusts(files: tuple[Path, Path]) -> None:
    with pytest.raises(BadSettings, match="keys next"):
        rotation.promote(*files)
    before = files[1].read_bytes()
    rotation.make_next(*files)
    with pytest.raises(BadSettings, match="not promoted"):
        rotation.retire(*files)
    files[1].write_bytes(before)
    with pytest.raises(BadSettings, match="does not hold"):
        rotation.promote(*files)


@pytest.mark.parametrize("more", [b"", b"no key\n", None])
def test_a_file_of_anything_else_is_refused(files: tuple[Path, Path], more: bytes | None) -> None:
    good, private = files[1].read_bytes(), files[0].read_bytes()
    files[1].write_bytes(b"" if more == b"" else good + (private if more is None else more))
    with pytest.raises(BadSettings, match="FRESHET_VERIFY_KEY"):
        verify_key(files[1])


def test_operators_rotate_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRESHET_STATE", str(tmp_path))
    run = CliRunner()
    for arguments, trusted in (([], 1), (["next"], 2), (["promote"], 2), (["retire"], 1)):
        assert run.invoke(app, ["keys", *arguments]).exit_code == 0
        assert len(verify_key(tmp_path / "keys" / "verify.pem").keys) == trusted
    assert run.invoke(app, ["keys", "promote"]).exit_code != 0


def test_of_a_pair_the_key_that_verifies_is_made_again_and_the_one_that_signs_is_not(tmp_path: Path) -> None:
    settings = StackSettings(state=tmp_path)
    prepare.keys(settings)
    signing, verifying = settings.keys
    verifying.unlink()
    assert prepare.keys(settings)
    assert [signing_key(signing).public_key()] == list(verify_key(verifying).keys)
    signing.unlink()
    with pytest.raises(BadSettings, match="which signs bundles, is missing"):
        prepare.keys(settings)
