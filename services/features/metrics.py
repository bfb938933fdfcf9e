"""What the features service counts."""

from prometheus_client import Counter, Gauge, Histogram

events = Counter("features_events_total", "Events counted into rows", ["view"])
skipped = Counter("features_skipped_total", "Deliveries that a row already contains", ["view"])
excluded = Counter("features_excluded_total", "Events left out of the counters", ["reason"])
fetched = Counter("features_fetched_total", "Rows looked up in the store", ["view"])
evicted = Counter("features_evicted_total", "Clean rows dropped from memory", ["view"])
written = Counter("features_written_total", "Rows written", ["view"])
superseded = Counter("features_superseded_total", "Rows not written because the store had a higher version", ["view"])
held = Gauge("features_rows", "Rows in memory", ["view"])
flush_seconds = Histogram(
    "features_flush_seconds", "A flush, from its snapshot to its markers", buckets=(0.01, 0.03, 0.1, 0.3, 1, 3)
)
missed = Counter("features_missed_total", "Records that their topic no longer had when they were due", ["topic"])
history_lost = Counter("features_history_lost_total", "Rows of the history that the storage did not take", ["view"])
history_rows = Counter("features_history_rows_total", "Rows appended to the history", ["view"])
