"""A shop's own past from files, and pretraining on it."""

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import structlog

from services.collector.events import Event
from services.collector.stamp import Catalogue, Clock, stamp_event
from services.updater.history.pretraining import Pretraining
from services.updater.history.shop_files import ShopFiles
from services.updater.learning.batches import Batcher
from shared.datasets.moments import stamped
from shared.errors import BadSettings
from shared.messages import Behaviour, Item
from tests.learning import INPUTS, assortment, learner, shown, task

START = datetime(2017, 1, 1, tzinfo=UTC)


def lines() -> tuple[list[Item], list[Behaviour]]:
    rng = np.random.default_rng(1)
    items = [Item(item_id=f"i{n}", time=START, title=f"thing {n}", category=f"c{n % 3}") for n in range(80)]
    events = [
        Behaviour(
            event_id=f"e{n}", user_id=f"u{n % 9}", item_id=f"i{rng.integers(0, 80)}", action="purchase" if n % 2 else "view",
            time=START + timedelta(hours=n // 2), price=3.0,
        )
        for n in range(600)
    ]  # fmt: skip
    return items, events


def ndjson(folder: Path, reverse: bool = False) -> Path:
    items, events = lines()
    (folder / "items.ndjson").write_bytes(b"\n".join(map(msgspec.json.encode, items)))
    (folder / "behaviour.ndjson").write_bytes(b"\n".join(map(msgspec.json.encode, reversed(events) if reverse else events)))
    return folder


def test_each_purchase_makes_a_list_of_its_item_among_what_sold_before(tmp_path: Path) -> None:
    moments = list(ShopFiles(ndjson(tmp_path), "purchase", 7).moments())
    assert sum(len(moment.events) for moment in moments) == 600
    asked = [(moment, one) for moment in moments for one in moment.lists]
    assert len(asked) > 150
    for moment, one in asked:
        bought = one.candidates[one.bought].item_id
        assert bought in {event.item_id for event in moment.events if event.action == "purchase"}
        assert len({candidate.item_id for candidate in one.candidates}) == 10
    assert moments[-1].events[0].category is not None  # stamped from the catalogue


def test_a_past_event_is_stamped_as_the_collector_stamps_a_live_one() -> None:
    kinds = product(("tea", None), ("leaf", None), (3.5, None))
    listed = [Item(item_id=f"i{n}", time=START, category=c, brand=b, price=p) for n, (c, b, p) in enumerate(kinds)]
    items, live = {item.item_id: item for item in listed}, Catalogue()
    for item in listed:
        live.put(item, 0)
    for name, category, brand, price in product((*items, "unknown"), ("gifts", None), ("own", None), (0.0, None)):
        said = {"event_id": "e", "user_id": "ana", "item_id": name, "action": "view", "time": START}
        said |= {"category": category, "brand": brand, "price": price}
        told = stamp_event(Event(**said), live, Clock(wall=True), START, 0)
        assert msgspec.structs.asdict(stamped(Behaviour(**said), items)) == msgspec.structs.asdict(told)


def test_a_past_without_prices_is_at_the_catalogues_in_events_and_lists(tmp_path: Path) -> None:
    items, events = lines()
    for name, rows in (
        ("items", [msgspec.structs.replace(item, price=4.0) for item in items]),
        ("behaviour", [msgspec.structs.replace(event, price=None) for event in events]),
    ):
        (tmp_path / f"{name}.ndjson").write_bytes(b"\n".join(map(msgspec.json.encode, rows)))
    moments = list(ShopFiles(tmp_path, "purchase", 7).moments())
    assert {event.price for moment in moments for event in moment.events} == {4.0}
    assert {candidate.price for moment in moments for one in moment.lists for candidate in one.candidates} == {4.0}


def test_parquet_and_ndjson_in_any_order_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    items, events = lines()
    for name, rows in (("items", items), ("behaviour", events)):
        pq.write_table(
            pa.Table.from_pylist([msgspec.to_builtins(row, builtin_types=(datetime,)) for row in rows]),
            tmp_path / "a" / f"{name}.parquet",
        )
    parquet, text = ShopFiles(tmp_path / "a", "purchase", 7), ShopFiles(ndjson(tmp_path / "b"), "purchase", 7)
    assert list(parquet.moments()) == list(text.moments())
    assert parquet.items == text.items


def test_a_line_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    folder = ndjson(tmp_path)
    with (folder / "behaviour.ndjson").open("ab") as file:
        file.write(b'\n{"event_id": "x"}')
    with pytest.raises(BadSettings, match=r"behaviour\.ndjson, line 601: .*user_id"):
        ShopFiles(folder, "purchase", 7)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"neither items\.parquet nor items\.ndjson"):
        ShopFiles(tmp_path, "purchase", 7)


def test_pretraining_stops_where_the_held_back_loss_grows_and_undoes_that_pass() -> None:
    examples = [shown(offset) for offset in range(120)]
    fast = task(dense_rate=0.05, row_rate=0.5)  # learns the noise by heart
    many, one = learner(fast), learner(fast)
    log = structlog.testing.CapturingLogger()
    metrics = Pretraining(epochs=6).run(many, Batcher(INPUTS, ("purchase",), assortment()), examples, log)  # type: ignore[arg-type]
    passes = [call.kwargs["log_loss"] for call in log.calls]
    assert len(passes) < 6
    assert passes[-1] > passes[-2] == metrics["pretraining.logloss"]
    Pretraining(epochs=len(passes) - 1).run(one, Batcher(INPUTS, ("purchase",), assortment()), examples, structlog.get_logger())
    assert many.optimiser.learned == one.optimiser.learned
    assert many.frozen == fast.model.frozen
