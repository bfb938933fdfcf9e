"""Catalogue files: what a shop's texts share is taken out of each vector, as the base's catalogue says."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.catalogue import FEW, Assortment, build
from shared.bundles.files import Catalogue, decode_catalogue, encode_catalogue
from shared.keys import key
from shared.messages import Item
from tests.learning import EPOCH

T = 16
COMMON = np.eye(T, dtype=np.float32)[0]


def vector(text: str) -> NDArray[np.float16]:
    """Of unit length, most of it what all texts share."""
    own = np.random.default_rng(key(text)).normal(size=T) / T**0.5 / 2
    return ((COMMON + own) / np.linalg.norm(COMMON + own)).astype(np.float16)


def catalogue(texts: Iterable[str], centre: NDArray[np.float32] | None = None) -> Catalogue:
    """An item a text."""
    lines = [Item(item_id=text, time=EPOCH, title=text) for text in texts]
    return build(lines, {text: vector(text) for text in texts}, T, centre=centre)


def test_what_all_texts_share_is_taken_out_and_the_rest_is_of_unit_length() -> None:
    texts = [f"text {i}" for i in range(500)]
    assert np.linalg.norm(np.mean([vector(text) for text in texts], 0)) > 0.8
    base = catalogue(texts)
    assert np.linalg.norm(base.vectors.mean(0, dtype=np.float32)) < 0.1
    assert np.allclose(np.linalg.norm(base.vectors.astype(np.float32), axis=1), 1, atol=1e-3)


def test_of_a_single_text_something_is_left() -> None:
    [only] = catalogue(["tea"]).vectors
    assert only @ vector("tea") > 0.99


def test_items_without_titles_have_a_catalogue() -> None:
    assert catalogue([""]).vectors.shape == (1, T)
    nothing = build([Item(item_id="tea", time=EPOCH)], {}, T)
    assert nothing.vectors.shape == (0, T)
    assert not nothing.centre.any()


def test_later_items_go_without_the_same() -> None:
    base = catalogue([f"text {i}" for i in range(100)])
    known = Assortment(T)
    known.add(decode_catalogue(encode_catalogue(base)))
    later = catalogue(["tea"], known.centre)
    known.add(decode_catalogue(encode_catalogue(later)))
    assert (known.centre == base.centre).all()
    rest = vector("tea") - sum(vector(f"text {i}").astype(np.float32) for i in range(100)) / (100 + FEW)
    assert np.allclose(later.vectors[0], rest / np.linalg.norm(rest), atol=2e-3)
    assert known.says(Item(item_id="tea", time=EPOCH, title="tea"), vector("tea"))
    assert not known.says(Item(item_id="tea", time=EPOCH, title="milk"), vector("milk"))


def test_beside_a_base_of_before_vectors_stay_the_encoders() -> None:
    known = Assortment(T)
    known.add(catalogue(["text"], np.zeros(0, np.float32)))
    later = catalogue(["tea"], known.centre)
    assert (later.vectors[0] == vector("tea")).all()
    known.add(later)
    assert known.says(Item(item_id="tea", time=EPOCH, title="tea"), vector("tea"))
