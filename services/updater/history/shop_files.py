"""A shop's own past from files: ``items`` and ``behaviour``, each as parquet or NDJSON with the fields of the messages."""

from collections.abc import Callable, Iterator
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow.parquet as pq

from shared.datasets.moments import Moment
from shared.datasets.sampling import Sampled
from shared.decoding import decoded
from shared.errors import BadRecord, BadSettings
from shared.messages import Behaviour, Item

LIST = 10
T = TypeVar("T", Behaviour, Item)


class ShopFiles:
    """A folder with ``items.parquet`` or ``items.ndjson``, and ``behaviour.parquet`` or ``behaviour.ndjson``.

    The shop's files say what was bought, not what was shown: each event with the label makes a list of its item among others,
    drawn ∝ √sales from what the shop sold in the 28 days before.

    Raises:
        BadSettings: a file is missing, or a line cannot be used; says which.
    """

    def __init__(self, folder: Path, label: str, seed: int) -> None:
        self.items = {item.item_id: item for item in _read(folder, "items", Item)}
        self._events = sorted(_read(folder, "behaviour", Behaviour), key=attrgetter("time"))
        self._label, self._seed = label, seed

    def moments(self) -> Iterator[Moment]:
        """What each user did at each moment, in time order, with the lists it makes."""
        return Sampled(self.items, self._events, self._label, LIST, self._seed).moments()


def _read(folder: Path, name: str, kind: type[T]) -> list[T]:
    parquet, ndjson = folder / f"{name}.parquet", folder / f"{name}.ndjson"
    if parquet.exists():
        rows = pq.read_table(parquet).to_pylist()
        return [_line(partial(msgspec.convert, _given(row), kind), parquet, number) for number, row in enumerate(rows, 1)]
    if ndjson.exists():
        decode, lines = msgspec.json.Decoder(kind).decode, ndjson.read_bytes().splitlines()
        return [_line(partial(decoded, decode, line), ndjson, number) for number, line in enumerate(lines, 1) if line]
    fields = f"their fields are those of {kind.__name__} in shared/messages.py"
    raise BadSettings(f"{folder} has neither {parquet.name} nor {ndjson.name}; {fields}")


def _given(row: dict[str, Any]) -> dict[str, Any]:
    """Without the columns that are empty here."""
    return {name: value for name, value in row.items() if value is not None}


def _line(read: Callable[[], T], file: Path, number: int) -> T:
    try:
        return read()
    except (msgspec.MsgspecError, BadRecord) as error:
        raise BadSettings(f"{file}, line {number}: {error}") from None
