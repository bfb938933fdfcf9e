"""The encoder's own forward pass is sentence-transformers', and its process fills the cache."""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.updater.encode import model_folder
from services.updater.encoder import Encoder
from services.updater.texts import TextCache

TEXTS = [
    "FRZN ICE, ICE - CRUSHED/CUBED",
    "milk",
    "a red wireless noise cancelling headphone for running",
    "ünïcode ☕",
    "tea " * 300,
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.set_num_threads(1)
    return Encoder(model_folder())


@pytest.mark.filterwarnings("ignore")  # its own deprecations are not ours to mend
def test_vectors_are_sentence_transformers(encoder: Encoder) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(model_folder()), device="cpu").encode(
        TEXTS, normalize_embeddings=True, show_progress_bar=False
    )
    assert np.abs(encoder.encode(TEXTS) - theirs).max() < 1e-5


def test_the_same_texts_make_the_same_bits(encoder: Encoder) -> None:
    assert np.array_equal(encoder.encode(TEXTS), encoder.encode(TEXTS))


def test_the_process_writes_what_the_encoder_says(encoder: Encoder, tmp_path: Path) -> None:
    found = TextCache(tmp_path).ensure(TEXTS[:2])
    assert np.array_equal(found[TEXTS[1]], encoder.encode(TEXTS[:2])[1].astype(np.float16))
