"""What the collector counts, each with few labels: a shop's own actions count as ``other``."""

from prometheus_client import Counter, Gauge, Histogram

ACTIONS = frozenset({"view", "click", "favourite", "cart", "purchase"})

events = Counter("collector_events_total", "Events acknowledged by Kafka", ["action"])
items = Counter("collector_items_total", "Lines of the catalogue acknowledged by Kafka")
requests = Counter("collector_requests_total", "Requests answered", ["route", "status"])
seconds = Histogram(
    "collector_request_seconds",
    "From a request's headers to its answer",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
bytes_in_flight = Gauge("collector_bytes_in_flight", "Bytes of requests that Kafka has not answered for")
catalogue_items = Gauge("collector_catalogue_items", "Items whose category, brand and price can be stamped")
producers_replaced = Counter("collector_producers_replaced_total", "Producers made anew because Kafka refused a record")


_events_of = {action: events.labels(action) for action in (*sorted(ACTIONS), "other")}


def count_event(action: str) -> None:
    """One more event that is safe."""
    _events_of[action if action in ACTIONS else "other"].inc()
