"""What the joiner counts of itself."""

from prometheus_client import Counter, Gauge, Histogram

emitted = Counter("joiner_examples_total", "Examples that Kafka acknowledged", ["kind"])
unmatched = Counter("joiner_unmatched_total", "Outcomes that no impression explains", ["reason"])
passed_over = Counter("joiner_passed_over_total", "Impressions and outcomes that are no example and no error", ["reason"])
waiting = Gauge("joiner_waiting_impressions", "Impressions whose outcomes may still come", ["partition"])
disk = Gauge("joiner_waiting_bytes", "Bytes of waiting impressions on local disk", ["partition"])
delay = Histogram(
    "joiner_delay_seconds",
    "From the moment an example is complete (its wait is over, or its outcome was appended) to Kafka's acknowledgement",
    ["kind"],
    buckets=(0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 30, 300),
)
clock = Gauge("joiner_clock_difference_seconds", "This machine's clock less the broker's, as measured at the start")
unlearned = Gauge("freshet_oldest_unlearned_seconds", "Age of the oldest example that no window has taken", ["task"])
