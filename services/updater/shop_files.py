"""A shop's own past from files: ``items`` and ``behaviour``, each as parquet or NDJSON with the fields of the messages."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import pyarrow.parquet as pq

from services.updater.past import Moment, stamped
from shared.datasets.candidates import CandidateList, Pool, listed
from shared.errors import BadSettings
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
        sales = [event for event in self._events if event.action == self._label]
        numbers = {item_id: i for i, item_id in enumerate(dict.fromkeys(event.item_id for event in sales))}
        names, pool = list(numbers), Pool(len(numbers))
        times = np.array([event.time.timestamp() for event in sales], np.float64)
        products = np.array([numbers[event.item_id] for event in sales], np.int64)
        prices = np.array([np.nan if event.price is None else event.price for event in sales], np.float64)
        rng = np.random.default_rng(self._seed)
        for time, at_once in groupby(self._events, attrgetter("time")):
            now = time.timestamp()
            pool.advance(now, times, products, prices)
            for user_id, events in _by_user(at_once).items():
                bought = [numbers[event.item_id] for event in events if event.action == self._label]
                lists = tuple(self._lists(pool, bought, names, now, rng))
                yield Moment(user_id, now, tuple(stamped(event, self.items) for event in events), lists)

    def _lists(
        self, pool: Pool, bought: list[int], names: Sequence[str], now: float, rng: np.random.Generator
    ) -> Iterator[CandidateList]:
        for line, draw in pool.draw(bought, LIST, rng) if bought else ():
            chosen, none = [names[product] for product in draw.products], [False] * LIST
            if all(name in self.items for name in chosen):
                yield listed(pool, line, draw, now, chosen, none, none)


def _by_user(events: Iterator[Behaviour]) -> dict[str, list[Behaviour]]:
    found: dict[str, list[Behaviour]] = {}
    for event in events:
        found.setdefault(event.user_id, []).append(event)
    return found


def _read(folder: Path, name: str, kind: type[T]) -> list[T]:
    parquet, ndjson = folder / f"{name}.parquet", folder / f"{name}.ndjson"
    if parquet.exists():
        rows = pq.read_table(parquet).to_pylist()
        return [_line(partial(msgspec.convert, _given(row), kind), parquet, number) for number, row in enumerate(rows, 1)]
    if ndjson.exists():
        decode, lines = msgspec.json.Decoder(kind).decode, ndjson.read_bytes().splitlines()
        return [_line(partial(decode, line), ndjson, number) for number, line in enumerate(lines, 1) if line]
    fields = f"their fields are those of {kind.__name__} in shared/messages.py"
    raise BadSettings(f"{folder} has neither {parquet.name} nor {ndjson.name}; {fields}")


def _given(row: dict[str, Any]) -> dict[str, Any]:
    """Without the columns that are empty here."""
    return {name: value for name, value in row.items() if value is not None}


def _line(read: Callable[[], T], file: Path, number: int) -> T:
    try:
        return read()
    except msgspec.MsgspecError as error:
        raise BadSettings(f"{file}, line {number}: {error}") from None
