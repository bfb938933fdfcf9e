"""Text vectors, encoded once and cached by the text's hash: on local disk, and in the storage for the next machine.

The encoder never runs in the learning process: ``python -m services.updater.encode`` takes the texts that the cache lacks, writes
one more immutable file and ends. A file of the cache is named by its content:

    <encoder>-<sha256>.safetensors    ``hashes`` uint8 (n, 32): SHA-256 of each text; ``vectors`` float16 (n, T), unit length
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from shared.bundles.objects import Lost, Objects
from shared.errors import BadSettings

ENCODER = "all-MiniLM-L6-v2"
F2 = NDArray[np.float16]


def digest(text: str) -> bytes:
    """What a text's vector is found by: SHA-256 of its UTF-8 bytes."""
    return hashlib.sha256(text.encode()).digest()


class TextCache:
    """The vectors of every text encoded so far.

    Args:
        folder: where the files lie; made where it is not there.
        objects: the storage that holds the same files, or ``None``.
    """

    def __init__(self, folder: Path, objects: Objects | None = None) -> None:
        self.folder, self._objects = folder, objects
        folder.mkdir(parents=True, exist_ok=True)
        self._vectors: dict[bytes, F2] = {}
        self._read: set[str] = set()

    def vectors(self, texts: Iterable[str]) -> dict[str, F2]:
        """The vectors of those texts that have one, float16 (T,)."""
        self._refresh()
        return {text: self._vectors[digest(text)] for text in dict.fromkeys(texts) if digest(text) in self._vectors}

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
            encode_apart(missing, self.folder)
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
            if not (self.folder / name).exists() and (found := self._objects.read(key)) is not None:  # type: ignore[union-attr]
                self._place(found.data)

    def push(self) -> None:
        """Send the files that the storage lacks."""
        if self._objects is None:
            return
        there = {key.split("/")[-1] for key in self._objects.list("texts/")}
        for path in self.folder.glob("*.safetensors"):
            if path.name not in there:
                try:
                    self._objects.create(f"texts/{path.name}", path.read_bytes())
                except Lost:
                    continue  # another machine sent the very same file

    def _place(self, data: bytes) -> None:
        """Under the name that its content gives it, whole or not at all."""
        path = self.folder / f"{ENCODER}-{hashlib.sha256(data).hexdigest()}.safetensors"
        partial = path.with_suffix(f".{os.getpid()}.part")
        partial.write_bytes(data)
        partial.replace(path)

    def _refresh(self) -> None:
        for path in sorted(self.folder.glob(f"{ENCODER}-*.safetensors")):
            if path.name in self._read:
                continue
            arrays = load(path.read_bytes())
            self._vectors |= {bytes(h): v for h, v in zip(arrays["hashes"], arrays["vectors"], strict=True)}
            self._read.add(path.name)


def encode_apart(texts: list[str], folder: Path) -> None:
    """Run the encoder on these texts in a short process; it adds one file to the folder.

    Raises:
        BadSettings: it failed; says its last line.
    """
    command = [sys.executable, "-m", "services.updater.encode", str(folder)]
    done = subprocess.run(command, input=msgspec.json.encode(texts), capture_output=True, check=False)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise BadSettings(f"the text encoder failed ({''.join(last)}); is it installed? pip install 'freshet[encoder]'")
