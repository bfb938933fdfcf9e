"""The shopper's log: what was asked and what was accepted, so that a stranger can compute freshness, latency and losses.

Three files of one JSON object a line in one folder, only ever appended to: ``asked.ndjson``, ``accepted.ndjson`` and
``plays.ndjson``. All times named ``wall`` are seconds since 1970 by the shopper's clock, which never steps back.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

import msgspec


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One ``/rank`` request and what came of it."""

    play: str
    user_id: str
    time: float
    """Event time, seconds since 1970."""
    scheduled_wall: float
    """When the arrivals called for it: latency counts from here, also while it waited to be sent."""
    sent_wall: float
    finished_wall: float
    status: str
    """``ok``, ``shed`` (503, or more than the bound in flight) or ``failed`` (anything else)."""
    detail: str = ""
    """Why it failed."""
    request_id: str = ""
    bundle: str = ""
    window: int = 0
    degraded: bool = False
    size: int = 0
    """Candidates asked for."""
    bought: int = -1
    """Place of the bought product in the list as it was sent; -1 where nobody buys."""
    position: int = -1
    """Place at which the shop ranked the bought product."""
    sales: tuple[float, ...] = ()
    """What each candidate had sold in the 28 days before, in the order sent: the popularity baseline."""
    ages: tuple[float, ...] = ()
    """Days since each candidate was first sold: the item-age baseline."""
    probe: bool = False
    """Asked only to see which bundle answers; no part of the play."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One behaviour event that the shopper reported."""

    play: str
    event_id: str
    user_id: str
    item_id: str
    time: float
    """Event time, seconds since 1970."""
    sent_wall: float
    """When it was first sent."""
    accepted_wall: float
    """When the collector's answer came; 0 where none ever came."""
    partition: int = -1
    offset: int = -1
    request_id: str = ""
    """The ranking it answers; empty for plain behaviour."""
    attempts: int = 1


class Played(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A play's own account, written when it ends."""

    play: str
    kind: str
    """``journey``, a public set's name, or ``synthetic``."""
    started_wall: float
    ended_wall: float
    """When the last arrival was played; the drain comes after."""
    first_time: float = 0.0
    last_time: float = 0.0
    """Event time of the first and the last basket: a later play goes on from here."""
    items: int = 0
    households: int = 0
    """Of the journey's sample."""
    seed: int = 0
    memory_mb: float = 0.0
    """The most that the shopper held."""


Line = TypeVar("Line", bound=msgspec.Struct)
FILES: dict[type[msgspec.Struct], str] = {Asked: "asked.ndjson", Accepted: "accepted.ndjson", Played: "plays.ndjson"}


class Log:
    """Writes lines; what was written is on disk after :meth:`flush`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._files = {kind: (folder / name).open("ab") for kind, name in FILES.items()}
        self._encode = msgspec.json.Encoder().encode

    def write(self, line: Asked | Accepted | Played) -> None:
        """Append one line."""
        self._files[type(line)].write(self._encode(line) + b"\n")

    def flush(self) -> None:
        """Let readers see all that was written."""
        for file in self._files.values():
            file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for file in self._files.values():
            file.close()


class Tail(Generic[Line]):
    """Reads one of the log's files on and on, while it is being written."""

    def __init__(self, folder: Path, kind: type[Line]) -> None:
        self._path, self._at = folder / FILES[kind], 0
        self._decode = msgspec.json.Decoder(kind).decode

    def new(self) -> Iterator[Line]:
        """The whole lines since the last call; none where there is no file. A line being written waits for the next call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            for raw in file:
                if not raw.endswith(b"\n"):
                    break
                self._at += len(raw)
                yield self._decode(raw)


def read(folder: Path, kind: type[Line], play: str | None = None) -> Iterator[Line]:
    """The log's whole lines of one kind in the order written, of one play or of all."""
    for line in Tail(folder, kind).new():
        if play is None or line.play == play:  # type: ignore[attr-defined]
            yield line
