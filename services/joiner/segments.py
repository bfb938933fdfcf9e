"""The bytes of waiting impressions, on local disk: append-only files, a partition each, made anew from the log at every start."""

import os
import shutil
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SEGMENT_BYTES = 32 << 20


@dataclass(slots=True)
class Segment:
    """One file of the sequence."""

    start: int
    """Position of its first byte in the whole sequence."""
    descriptor: int
    path: Path
    size: int = 0


class Segments:
    """A sequence of bytes that grows at its end and is let go from its beginning, whole files at a time.

    It is a cache of the log: nothing is synced, and what an earlier process left is removed. Recent bytes are read from the
    system's page cache.
    """

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder, self._segment_bytes = folder, segment_bytes
        self._segments: deque[Segment] = deque()
        self._open(0)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(segment.size for segment in self._segments)

    def append(self, values: Sequence[bytes]) -> list[tuple[int, int]]:
        """Write them in one go; returns each one's position and length.

        Raises:
            OSError: the disk is full or away.
        """
        if self._segments[-1].size >= self._segment_bytes:
            self._open(self._segments[-1].start + self._segments[-1].size)
        segment, places = self._segments[-1], []
        position = segment.start + segment.size
        for value in values:
            places.append((position, len(value)))
            position += len(value)
        _write(segment.descriptor, b"".join(values))
        segment.size = position - segment.start
        return places

    def read(self, place: tuple[int, int]) -> bytes:
        """The bytes at a position that :meth:`append` gave."""
        position, length = place
        segment = next(segment for segment in reversed(self._segments) if segment.start <= position)
        return os.pread(segment.descriptor, length, position - segment.start)

    def release(self, position: int) -> None:
        """Let go what lies wholly before this position."""
        while len(self._segments) > 1 and self._segments[1].start <= position:
            self._close(self._segments.popleft())

    def close(self) -> None:
        """Remove all."""
        while self._segments:
            self._close(self._segments.popleft())
        shutil.rmtree(self.folder, ignore_errors=True)

    def _open(self, start: int) -> None:
        path = self.folder / f"{start:020d}"
        self._segments.append(Segment(start, os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600), path))

    @staticmethod
    def _close(segment: Segment) -> None:
        os.close(segment.descriptor)
        segment.path.unlink(missing_ok=True)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
