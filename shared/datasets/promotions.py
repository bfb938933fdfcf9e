"""Which products a store displayed or advertised in a week: Complete Journey's 20.9 million promotion rows, cut to a sample."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

DISPLAY, MAILER = 1, 2


class Promotions:
    """Promotion flags by (product, store, week), for the products and store weeks of a sample."""

    def __init__(self, keys: NDArray[np.uint64], flags: NDArray[np.uint8]) -> None:
        self._keys, self._flags = keys, flags  # sorted by key

    def at(self, products: NDArray[np.int64], store: int, week: int) -> NDArray[np.uint8]:
        """:data:`DISPLAY` | :data:`MAILER` of each product; 0 for one that is not promoted. Shape (n,)."""
        wanted = _key(products, np.full(len(products), store), np.full(len(products), week))
        found = np.minimum(np.searchsorted(self._keys, wanted), max(len(self._keys) - 1, 0))
        if not len(self._keys):
            return np.zeros(len(products), np.uint8)
        return np.where(self._keys[found] == wanted, self._flags[found], np.uint8(0))

    @classmethod
    def read(
        cls, file: Path, products: NDArray[np.int64], store_weeks: NDArray[np.int64], cache: Path | None = None
    ) -> "Promotions":
        """The rows of these products in these store weeks ((m, 2): store, week); 60 MB of memory beside the result.

        With ``cache`` (a file) the result is written there once and read from there afterwards.
        """
        if cache is not None and cache.exists():
            kept = np.load(cache)
            return cls(kept["keys"], kept["flags"])
        made = cls(*_scan(file, products, {(int(s), int(w)) for s, w in store_weeks}))
        if cache is not None:
            cache.parent.mkdir(parents=True, exist_ok=True)
            partial = cache.with_suffix(".part.npz")
            np.savez(partial, keys=made._keys, flags=made._flags)
            partial.replace(cache)
        return made


def _key(products: NDArray[np.int64], stores: NDArray[np.int64], weeks: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(product < 2³¹, store < 2²⁴, week < 2⁸) in one number."""
    packed: NDArray[np.int64] = products << 32 | stores << 8 | weeks
    return packed.astype(np.uint64)


def _scan(
    file: Path, products: NDArray[np.int64], store_weeks: set[tuple[int, int]]
) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    known = np.zeros(int(products.max()) + 1, bool)
    known[products] = True
    open_weeks = np.zeros((1 << 16, 64), bool)  # (store, week)
    for store, week in store_weeks:
        open_weeks[store, week] = True
    keys, flags = [], []
    parquet = pq.ParquetFile(file, read_dictionary=["display_location", "mailer_location"], pre_buffer=False)
    for batch in parquet.iter_batches(1 << 17):
        product, store, week = (batch.column(name).to_numpy() for name in ("product_id", "store_id", "week"))
        kept = (product < len(known)) & open_weeks[store, week]
        kept[kept] = known[product[kept]]
        keys.append(_key(product[kept], store[kept], week[kept]))
        display, mailer = (_shown(batch.column(name))[kept] for name in ("display_location", "mailer_location"))
        flags.append(display * np.uint8(DISPLAY) | mailer * np.uint8(MAILER))
    key, flag = np.concatenate(keys), np.concatenate(flags)
    order = np.argsort(key)
    return key[order], flag[order]


def _shown(column: object) -> NDArray[np.uint8]:
    """1 where the place is not "0", which means nowhere. The column is dictionary-coded text."""
    places = np.array([place != "0" for place in column.dictionary.to_pylist()], np.uint8)  # type: ignore[attr-defined]
    return places[column.indices.to_numpy()]  # type: ignore[attr-defined]
