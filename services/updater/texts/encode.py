"""Encode texts in a process that ends: ``python -m services.updater.texts.encode FOLDER [ENCODER] < texts.json`` adds vectors."""

import sys
from pathlib import Path

import msgspec
import numpy as np

from services.updater.learning import device
from services.updater.texts.encoder import Encoder
from services.updater.texts.folders import INSTALLED, MULTILINGUAL, model_folder
from services.updater.texts.multilingual import MultilingualE5
from services.updater.texts.vectors import TextCache


def main(folder: Path, encoder: str = INSTALLED) -> None:
    """Read a JSON list of texts from standard input, write one file of vectors into the folder."""
    texts = msgspec.json.decode(sys.stdin.buffer.read(), type=list[str])
    chosen = MultilingualE5() if encoder == MULTILINGUAL else Encoder(model_folder(encoder), device.choose())
    vectors = chosen.encode(texts).astype(np.float16)
    TextCache(folder, encoder=encoder).write(dict(zip(texts, vectors, strict=True)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
