"""Online Retail (UCI): every invoice line of a UK web gift shop over a year, from the owner's sheet as CSV, or as parquet.

Left out: returns and cancelled invoices, lines without a customer or a price, codes that are no product (postage, fees), and what
an invoice repeats. The shop kept no impressions, so that negatives are sampled (see :mod:`shared.datasets.sampling`). Store times
are taken as UTC.
"""

import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.datasets.files import rows
from shared.datasets.sampling import Sampled, part
from shared.messages import Behaviour, Item

OWNER = "https://archive.ics.uci.edu/dataset/352/online+retail"
FILES = ("transactions.parquet", "Online Retail.csv")
LIST = 5
PRODUCT = re.compile(r"\d{5}[A-Z]*")
OPENED = datetime(2010, 12, 1, tzinfo=UTC)


def load(folder: Path, share: float, seed: int) -> Sampled:
    """The shop; this share of its customers makes lists, everybody's lines count.

    Raises:
        BadSettings: the set is not in the folder.
    """
    lines = sorted(_lines(rows(folder, FILES, OWNER)), key=lambda line: (line["time"], line["InvoiceNo"]))
    asked = part((line["CustomerID"] for line in lines), share, seed)
    return Sampled(_items(lines), [_event(line) for line in lines], "purchase", LIST, seed, asked)


def _lines(raw: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    for line in raw:
        code, invoice = str(line["StockCode"]).upper(), str(line["InvoiceNo"])
        known = line["CustomerID"] is not None and line["Description"] and line["UnitPrice"] > 0
        if known and line["Quantity"] > 0 and not invoice.startswith("C") and PRODUCT.fullmatch(code):
            time, customer = _time(line["InvoiceDate"]), str(int(line["CustomerID"]))
            kept.setdefault((invoice, code), line | {"StockCode": code, "InvoiceNo": invoice, "time": time, "CustomerID": customer})
    return list(kept.values())


def _time(value: Any) -> datetime:
    """The sheet's CSV export writes ``12/1/2010 8:26``."""
    moment = value if isinstance(value, datetime) else datetime.strptime(value, "%m/%d/%Y %H:%M")
    return datetime(moment.year, moment.month, moment.day, moment.hour, moment.minute, tzinfo=UTC)


def _items(lines: list[dict[str, Any]]) -> dict[str, Item]:
    """Titles are the most frequent description; the first digits of a code group alike products."""
    titles: dict[str, Counter[str]] = {}
    for line in lines:
        titles.setdefault(line["StockCode"], Counter())[line["Description"].strip()] += 1
    return {
        code: Item(item_id=code, time=OPENED, title=found.most_common(1)[0][0], category=code[:3]) for code, found in titles.items()
    }


def _event(line: dict[str, Any]) -> Behaviour:
    return Behaviour(
        event_id=f"{line['InvoiceNo']}-{line['StockCode']}",
        user_id=line["CustomerID"],
        item_id=line["StockCode"],
        action="purchase",
        time=line["time"],
        session=line["InvoiceNo"],
        price=line["UnitPrice"],
        quantity=line["Quantity"],
    )
