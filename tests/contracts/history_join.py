"""A process that writes history as the service does and joins it with Feast.

Its arguments are where the history lies, an empty folder or ``s3://bucket/prefix``, and a folder for what Feast keeps of its own.
"""

import json
import os
import sys
from pathlib import Path

import pandas as pd

from services.features.history import History, destination
from services.features.settings import FeaturesSettings
from shared.features.counters import Counters
from shared.features.plans import Plans
from tests.features import START, at, declared_plans, event


def main(where: str, folder: Path) -> None:
    os.environ["FRESHET_FEATURES_HISTORY"] = where
    plans = Plans.of(declared_plans())
    put = destination(FeaturesSettings.read())
    assert put
    history, counters = History(put), Counters(plans)
    for n, seconds in enumerate((0.0, 0.0)):
        counters.apply(at([event(n)], [seconds + 50_000 * n]))
        part = {name: counters.items.records(counters.items.rows([name]))[0] for name in counters.items.index}
        history.append(plans.item.plan, part)

    from feast import FeatureStore, RepoConfig

    from feature_repo.definitions import item, item_activity

    store = FeatureStore(
        config=RepoConfig(
            project="shop",
            provider="local",
            registry=str(folder / "registry.db"),
            offline_store={"type": "shared.features.offline_store.HistoryOfflineStore"},
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    store.apply([item, item_activity])
    moments = {"early": START + 50, "late": START + 100_050, "before": START - 50}
    asked = pd.DataFrame({"item_id": ["tea"] * 3, "event_timestamp": pd.to_datetime(list(moments.values()), unit="s", utc=True)})
    found = store.get_historical_features(entity_df=asked, features=["item_activity:item_purchases_7d"]).to_df()
    found = found.set_index(
        found["event_timestamp"].astype("int64") // 10 ** (9 if found["event_timestamp"].dt.unit == "ns" else 6)
    )
    seen = {name: found.loc[int(moment), "item_purchases_7d"] for name, moment in moments.items()}
    print(json.dumps({name: None if pd.isna(value) else round(float(value), 9) for name, value in seen.items()}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
