"""What the shopper counts, on its ``/metrics`` for the terminal view."""

from prometheus_client import Counter, Gauge, Histogram

requests = Counter("shopper_requests", "Rankings asked for, by what came of it", ["status"])
events = Counter("shopper_events", "Behaviour events reported, by what came of it", ["status"])
rank_seconds = Histogram(
    "shopper_rank_seconds",
    "From the scheduled arrival to the answer",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0),
)
in_flight = Gauge("shopper_in_flight", "Rankings waiting for their answer")
waiting = Gauge("shopper_waiting_events", "Behaviour events that are not due yet")
event_time = Gauge("shopper_event_time_seconds", "Event time of the basket being played")
shop_hours = Gauge("shopper_shop_hours_per_second", "Hours of the shop's time that pass in one second of wall time")
window = Gauge("shopper_window", "Window of the bundle that answered last")
bundles_seen = Counter("shopper_bundles_seen", "Different bundles that answered")
