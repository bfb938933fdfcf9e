"""Text vectors, encoded once and cached by the text's hash: on local disk, and in the storage for the next machine.

The encoder never runs in the learning process: ``encode.py``, a process of its own, takes the texts that the cache lacks, writes
one more immutable file and ends. A file of the cache is named by whose vectors it holds and by its content, so that those of two
encoders never mix:

    <encoder>-<sha256>.safetensors    ``hashes`` uint8 (n, 32): SHA-256 of each text; ``vectors`` float16 (n, T), unit length
"""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from services.updater.texts.folders import INSTALLED, identity
from shared.bundles.objects import Lost, Objects
from shared.errors import BadSettings

F2 = NDArray[np.float16]


def digest(text: str) -> bytes:
    """What a text's vector is found by: SHA-256 of its UTF-8 bytes."""
    return hashlib.sha256(text.encode()).digest()


class TextCache:
    """The vectors of every text that one encoder encoded so far.

    Args:
        folder: where the files lie; made where it is not there.
        objects: the storage that holds the same files, or ``None``.
        encoder: :data:`INSTALLED`, or a folder; see :mod:`services.updater.texts.folders`.

    Raises:
        BadSettings: see :func:`identity`.
    """

    def __init__(self, folder: Path, objects: Objects | None = None, encoder: str = INSTALLED) -> None:
        self.folder, self._objects, self._setting, self.encoder = folder, objects, encoder, identity(encoder)
        self._own = re.compile(re.escape(self.encoder) + r"-[0-9a-f]{64}\.safetensors")
        folder.mkdir(parents=True, exist_ok=True)
        self._vectors: dict[bytes, F2] = {}
        self._read: set[str] = set()

    def vectors(self, texts: Iterable[str]) -> dict[str, F2]:
        """The vectors of those texts that have one, float16 (T,)."""
        self.refresh()
        return {text: self._vectors[digest(text)] for text in dict.fromkeys(texts) if digest(text) in self._vectors}

    def vector(self, text: str) -> F2 | None:
        """A text's vector by the files that were read so far, float16 (T,); the folder is not looked at."""
        return self._vectors.get(digest(text))

    def ensure(self, texts: Iterable[str]) -> dict[str, F2]:
        """The vectors of these texts; those without one are encoded first, in a process of its own.

        Raises:
            BadSettings: the encoder is not installed, or failed; says its last line.
        """
        wanted = [text for text in dict.fromkeys(texts) if text]
        if len(self.vectors(wanted)) < len(wanted):
            self.pull()
        found = self.vectors(wanted)
        if missing := [text for text in wanted if text not in found]:
            encode_apart(missing, self.folder, self._setting)
            self.push()
        return self.vectors(wanted)

    def write(self, vectors: Mapping[str, F2]) -> None:
        """Add one file with these vectors, whole or not at all."""
        hashes = np.frombuffer(b"".join(map(digest, vectors)), np.uint8).reshape(-1, 32)
        self._place(save({"hashes": hashes, "vectors": np.stack(list(vectors.values()))}))

    def pull(self) -> None:
        """Fetch the storage's files that are not here."""
        for key in self._objects.list("texts/") if self._objects else ():
            name = key.split("/")[-1]
            wanted = self._own.fullmatch(name) and not (self.folder / name).exists()
            if wanted and (found := self._objects.read(key)) is not None:  # type: ignore[union-attr]
                self._place(found.data)

    def push(self) -> None:
        """Send the files that the storage lacks."""
        if self._objects is None:
            return
        there = {key.split("/")[-1] for key in self._objects.list("texts/")}
        for path in self._files():
            if path.name not in there:
                try:
                    self._objects.create(f"texts/{path.name}", path.read_bytes())
                except Lost:
                    continue  # another machine sent the very same file

    def _place(self, data: bytes) -> None:
        """Under the name that its content gives it, whole or not at all."""
        path = self.folder / f"{self.encoder}-{hashlib.sha256(data).hexdigest()}.safetensors"
        partial = path.with_suffix(f".{os.getpid()}.part")
        partial.write_bytes(data)
        partial.replace(path)

    def refresh(self) -> None:
        """Read the folder's files that were not read yet."""
        for path in self._files():
            if path.name in self._read:
                continue
            arrays = load(path.read_bytes())
            self._vectors |= {bytes(h): v for h, v in zip(arrays["hashes"], arrays["vectors"], strict=True)}
            self._read.add(path.name)

    def _files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if self._own.fullmatch(path.name))


def encode_apart(texts: list[str], folder: Path, encoder: str) -> None:
    """Run the encoder on these texts in a short process; it adds one file to the folder.

    Raises:
        BadSettings: it failed; says its last line.
    """
    command = [sys.executable, "-m", "services.updater.texts.encode", str(folder), encoder]
    done = subprocess.run(command, input=msgspec.json.encode(texts), capture_output=True, check=False)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise BadSettings(f"the text encoder failed ({''.join(last)}); is it installed? pip install 'freshet[encoder]'")
