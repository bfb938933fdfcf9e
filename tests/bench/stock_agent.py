"""A stock Faust agent with a table, written as Faust's own guide does: what the feature pipeline is measured against."""

import os
from pathlib import Path

import faust


class Event(faust.Record, serializer="json"):
    """The fields that it needs."""

    user_id: str
    item_id: str
    action: str
    time: str


app = faust.App(
    "stock",
    broker=f"kafka://{os.environ.get('FRESHET_KAFKA', '127.0.0.1:19092')}",
    store="memory://",
    web_enabled=False,
    topic_partitions=16,
)
behaviour = app.topic("behaviour", value_type=Event)
counts = app.Table("counts", default=int, partitions=16)
seen = 0


@app.agent(behaviour)  # type: ignore[arg-type]
async def count(events: faust.Stream[Event]) -> None:
    """Count each user's actions."""
    global seen
    async for event in events:
        counts[event.user_id, event.action] += 1
        seen += 1
        if seen % 1_000 == 0:
            Path(os.environ["STOCK_PROGRESS"]).write_text(str(seen))  # noqa: ASYNC240 (a moment, once in a thousand events)


if __name__ == "__main__":
    app.main()
