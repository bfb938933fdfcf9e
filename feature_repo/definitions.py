"""The shop's features: who they are about, what is counted, and what a ranking reads.

Everything that Feast applies stands in this one module: ``feast apply`` imports each file of the folder by its bare name, and an
object that two names reach would be applied twice.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float32, Float64, Int64, String
from feast.value_type import ValueType

from feature_repo.counted import counts, moment, prices, table
from feature_repo.served import input_names

HISTORY = os.environ.get("FRESHET_FEATURES_HISTORY") or str(Path(__file__).parent.parent / ".state" / "history")
FOREVER = timedelta(0)
"""Counters decay by themselves; no row has to go."""
STREAM = {"owner": "stream"}
"""Only the features service writes the view."""


def history(view: str) -> FileSource:
    """The parquet files that the features service appends for a view, by day of the key's newest event."""
    folder = HISTORY if HISTORY.startswith("s3://") else str(Path(HISTORY).absolute())
    return FileSource(
        name=f"{view}_history",
        path=f"{folder}/{view}/*/*.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
    )


user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING, description="a customer, a household or a device")
item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING, description="a product of the catalogue")

user_activity = FeatureView(
    name="user_activity",
    description="what a user does",
    entities=[user],
    ttl=FOREVER,
    schema=[
        Field(name="user_id", dtype=String),
        *counts("user"),
        *prices("user"),
        moment("user_first", "first"),
        moment("user_last", "last"),
        *table("item", 64),
        *table("category", 16, priced=True),
        *table("brand", 16),
    ],
    source=history("user_activity"),
    tags=STREAM,
)

item_activity = FeatureView(
    name="item_activity",
    description="what is done to an item",
    entities=[item],
    ttl=FOREVER,
    schema=[
        Field(name="item_id", dtype=String),
        *counts("item"),
        *prices("item"),
        moment("item_first", "first"),
        moment("item_last", "last"),
    ],
    source=history("item_activity"),
    tags=STREAM,
)

catalogue = FeatureView(
    name="catalogue",
    description="the newest line of the topic items",
    entities=[item],
    ttl=FOREVER,
    schema=[
        Field(name="item_id", dtype=String),
        Field(name="price", dtype=Float64, tags={"default": "NaN"}, description="for one unit; NaN where the shop does not say"),
        Field(name="stock", dtype=Float64, tags={"default": "NaN"}, description="units on hand; NaN counts as in stock"),
        Field(name="boost", dtype=Float64, tags={"default": "1"}, description="the business's factor"),
        Field(name="category_key", dtype=Int64, description="shared.keys.key of the category, as a signed number"),
        Field(name="brand_key", dtype=Int64, description="the same of the brand"),
        Field(name="listed", dtype=Int64, description="the earliest line's time in microseconds since 1970"),
    ],
    source=history("catalogue"),
    tags=STREAM,
)

request = RequestSource(
    name="request",
    schema=[
        Field(name="now", dtype=Float64),
        Field(name="candidate", dtype=String),
        Field(name="candidate_price", dtype=Float64),
        Field(name="candidate_category", dtype=Int64),
        Field(name="candidate_brand", dtype=Int64),
    ],
)


@on_demand_feature_view(  # type: ignore[untyped-decorator]
    sources=[user_activity, item_activity, request],
    schema=[Field(name=name, dtype=Float32) for name in input_names(user_activity, item_activity)],
    mode="python",
)
def ranking_inputs(rows: dict[str, Any]) -> dict[str, Any]:
    """A model's dense inputs of a user and a candidate at the moment ``now``: the fast path's own function on Feast's rows."""
    from feature_repo.served import serve

    return serve(rows)


ranking = FeatureService(name="ranking", features=[user_activity, item_activity, ranking_inputs])
