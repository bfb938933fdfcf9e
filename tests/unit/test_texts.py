"""Text vectors: encoded once, found by hash, kept whole, shared through the storage."""

from pathlib import Path

import numpy as np
import pytest

from services.updater.texts import vectors as texts
from services.updater.texts.vectors import INSTALLED, TextCache
from shared.bundles.objects import MemoryObjects
from shared.errors import BadSettings


def vector(seed: int) -> np.ndarray:
    return np.full(384, seed, np.float16)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The encoder's calls; it answers a text with its length."""
    calls: list[list[str]] = []

    def encode(wanted: list[str], folder: Path, encoder: str) -> None:
        calls.append(wanted)
        TextCache(folder).write({text: vector(len(text)) for text in wanted})

    monkeypatch.setattr(texts, "encode_apart", encode)
    return calls


def test_a_text_is_encoded_once(tmp_path: Path, encoded: list[list[str]]) -> None:
    cache = TextCache(tmp_path)
    found = cache.ensure(["tea", "", "milk", "tea"])
    assert {text: int(v[0]) for text, v in found.items()} == {"tea": 3, "milk": 4}
    assert TextCache(tmp_path).ensure(["milk", "bread"]).keys() == {"milk", "bread"}
    assert encoded == [["tea", "milk"], ["bread"]]


def test_another_machine_finds_the_vectors_in_the_storage(tmp_path: Path, encoded: list[list[str]]) -> None:
    objects = MemoryObjects()
    TextCache(tmp_path / "one", objects).ensure(["tea", "milk"])
    other = TextCache(tmp_path / "other", objects)
    assert other.ensure(["milk"]).keys() == {"milk"}
    assert len(encoded) == 1


def test_a_file_that_was_cut_off_is_not_there(tmp_path: Path, encoded: list[list[str]]) -> None:
    (tmp_path / "all-MiniLM-L6-v2-abc.123.part").write_bytes(b"half")
    assert TextCache(tmp_path).vectors(["tea"]) == {}


def test_an_encoder_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts.sys, "executable", "false")
    with pytest.raises(BadSettings, match="text encoder failed"):
        TextCache(tmp_path).ensure(["tea"])


def test_vectors_of_two_encoders_never_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapted = tmp_path / f"{INSTALLED}-adapted"  # its files' names begin as the installed one's do
    adapted.mkdir()
    (adapted / "model.safetensors").write_bytes(b"weights")
    objects, cache = MemoryObjects(), tmp_path / "cache"
    installed, other = TextCache(cache, objects), TextCache(cache, objects, str(adapted))
    monkeypatch.setattr(texts, "encode_apart", lambda wanted, *_: installed.write({text: vector(1) for text in wanted}))
    installed.ensure(["tea"])
    assert not other.vectors(["tea"])
    monkeypatch.setattr(texts, "encode_apart", lambda wanted, *_: other.write({text: vector(2) for text in wanted}))
    assert int(other.ensure(["tea"])["tea"][0]) == 2
    for encoder, first in (("all-MiniLM-L6-v2", 1), (str(adapted), 2)):
        elsewhere = TextCache(tmp_path / f"elsewhere {first}", objects, encoder)
        elsewhere.pull()
        assert int(elsewhere.vectors(["tea"])["tea"][0]) == first
        assert int(TextCache(cache, encoder=encoder).vectors(["tea"])["tea"][0]) == first
    (adapted / "model.safetensors").write_bytes(b"other weights")
    assert not TextCache(cache, objects, str(adapted)).vectors(["tea"])


def test_an_encoder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"FRESHET_UPDATER_ENCODER: there is no folder .*nowhere"):
        TextCache(tmp_path, encoder=str(tmp_path / "nowhere"))
