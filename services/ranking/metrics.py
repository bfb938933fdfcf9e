"""What ranking shows of itself."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

requests = Counter("ranking_requests_total", "Requests answered", ["route", "status"])
seconds = Histogram(
    "ranking_seconds", "Time in the service", ["route"],
    buckets=(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)  # fmt: skip


@cache
def of(route: str, status: int) -> tuple[Counter, Histogram]:
    """Requests of a route answered with a status, and their times; found once, for labels cost more than counting."""
    return requests.labels(route, status), seconds.labels(route)


in_work = Gauge("ranking_in_work", "Requests being answered")
candidates = Counter("ranking_candidates_total", "Candidates scored")
unknown_items = Counter("ranking_unknown_items_total", "Candidates that the bundle does not know")
degraded = Counter("ranking_degraded_total", "Answers made without the feature store")
explored = Counter("ranking_explored_total", "Answers in another order than the best")

impressions = Counter("ranking_impressions_total", "Impressions by what became of them", ["result"])
"""``acknowledged``, ``dropped`` (the buffer was full) or ``failed`` (Kafka refused it)."""
impressions_waiting = Gauge("ranking_impressions_waiting", "Impressions that Kafka has not acknowledged")

bundle_window = Gauge("ranking_bundle_window", "Last window in the served bundle")
bundle_created = Gauge("ranking_bundle_created_seconds", "When the served bundle was made, seconds since 1970")
swaps = Counter("ranking_swaps_total", "Bundles taken into service", ["kind"])
swap_seconds = Histogram("ranking_swap_seconds", "From reading the pointer to serving the bundle", ["kind"])
apply_seconds = Histogram(
    "ranking_apply_seconds", "Time for which a swap holds up requests",
    buckets=(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1),
)  # fmt: skip
refused = Counter("ranking_bundles_refused_total", "Bundles that may not be served", ["code"])
storage_errors = Counter("ranking_storage_errors_total", "Times that the object storage did not answer")
