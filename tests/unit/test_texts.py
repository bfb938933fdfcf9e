"""Text vectors: encoded once, found by hash, kept whole, shared through the storage."""

from pathlib import Path

import numpy as np
import pytest

from services.updater import texts
from services.updater.texts import TextCache
from shared.bundles.objects import MemoryObjects
from shared.errors import BadSettings


def vector(seed: int) -> np.ndarray:
    return np.full(384, seed, np.float16)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The encoder's calls; it answers a text with its length."""
    calls: list[list[str]] = []

    def encode(wanted: list[str], folder: Path) -> None:
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
