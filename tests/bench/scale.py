"""``python -m tests.bench.scale --events 10000``: tasks, cost and freshness that a load asks for.

The model: each service is a station of tasks with a core each, used at most to a share of it at the peak (``--headroom``).
What a core does in a second is measured by the benches beside this one; pass your own figures. Freshness adds the stages from
an outcome to the first answer of a model that learned it: a queue's mean wait is that of M/D/1 at its load; a stage that
works in turns (window, publish) makes a record wait half a turn on average, and a whole one at worst. Above one cell's limits
(partitions, one Valkey primary, one updater) users are split over cells, each a whole loop of its own.

Reasoned, not measured: prices, M/D/1, limits, what is written to S3, that cells do not meet. Measured: the figures of a core and of
a GPU, and how large an impression is.
"""

import argparse
import math
from dataclasses import dataclass, fields

MONTH = 30 * 86_400
"""Seconds."""


@dataclass(frozen=True)
class Measured:
    """What one core does a second, and how large things are. Each figure names the command that it was seen with."""

    collector: float = 25_000.0
    """Events, in lists of 20: 24,984 beside other work, 27,295 without (``tests.bench.collector``)."""
    features: float = 73_350.0
    """Events: decoded, counted for user and item, flushed (``tests.bench.features``)."""
    joiner: float = 8_065.0
    """Impressions of 20 items, an outcome each, of a process with a backlog (``tests.bench.joiner``)."""
    ranking: float = 625.0
    """Requests of 100 candidates: 1.6 ms each with eight clients (``tests.bench.rank``)."""
    updater: float = 33_400.0
    """Rows batched (158,154), tested (205,204) and learned (53,470), one after the other (``tests.bench.learner``)."""
    gpu: float = 74_300.0
    """The same on an H100 and a core beside it, in windows of 20,000 rows: batched (147,899), tested (621,134), learned (196,445)
    (``tests.bench.learner --device cuda --rows 20000``). In windows of 2,000: 46,000."""
    event_bytes: float = 250.0
    impression_bytes: float = 6_000.0
    """Of 20 items with 60 features each: 5,898 (``tests.bench.joiner``)."""
    user_bytes: float = 5_000.0
    item_bytes: float = 1_000.0
    row_bytes: float = 68.0
    """Of an id's vector (16 + 1 float32); in a delta its number comes to it (72)."""


@dataclass(frozen=True)
class Limits:
    """What one cell carries."""

    partitions: int = 1_000
    partition_bytes: float = 5e6
    """A second; a partition's share of a broker."""
    valkey_writes: float = 150_000.0
    """Rows a second into one primary."""
    valkey_bytes: float = 400e9
    rows_in_memory: float = 400e6
    """Ids that one ranking task holds: 27 GB."""


@dataclass(frozen=True)
class Prices:
    """US dollars, on demand, rounded; a region's own list decides."""

    core_month: float = 36.0
    """Fargate: a vCPU (30) and 2 GB (6.5) for a month."""
    gpu_month: float = 5_000.0
    """p5.4xlarge, whose GPU is the H100 that was measured. A g6.xlarge (590) was not."""
    broker_month: float = 175.0
    """kafka.m7g.large with 200 GB; carries 30 MB/s in."""
    broker_bytes: float = 30e6
    valkey_gb_month: float = 24.0
    """A GB with its replica, r7g."""
    valkey_least: float = 320.0
    """cache.r7g.large, two nodes."""
    put: float = 5e-6
    get: float = 4e-7
    s3_gb_month: float = 0.023
    s3_days: float = 7.5
    """How long what has expired is still there: the module's seven ``noncurrent_days``, and lifecycle comes once a day."""
    gb_in: float = 0.008
    """Through the load balancer."""
    gb_across: float = 0.02
    """From one zone to another, both sides; two of three records go that way."""
    fixed_month: float = 240.0
    """Load balancer, three NAT gateways, key, logs, alarms of a cell."""


@dataclass(frozen=True)
class Load:
    """What comes in."""

    events: float
    """A second, at the peak."""
    users: float
    items: float = 1e6
    requests_per_event: float = 0.2
    candidates: float = 100.0
    shown: float = 20.0
    """Of each list: the ``limit`` of the shop's request, as a page shows 20. What is shown is logged and learned, all of it; the
    other candidates are in no impression."""
    different: float = 0.45
    """Of the items shown between two publications, how many are not the same: assumed."""
    publish_s: float = 0.25
    poll_s: float = 2.0
    """How often a ranking task looks at its two pointers."""
    peak_over_mean: float = 2.0


@dataclass(frozen=True)
class Prediction:
    """What it takes."""

    cells: int
    partitions: int
    tasks: dict[str, int]
    gpus: int
    dollars_month: float
    freshness_mean: float
    freshness_worst: float


def tasks(work: float, per_core: float, headroom: float, least: int) -> int:
    """Cores that carry the work with room to spare."""
    return max(least, math.ceil(work / (per_core * headroom)))


def wait(load: float, per_core: float) -> float:
    """Mean wait in a queue with a steady service time (M/D/1, Pollaczek and Khinchine): ρ / 2(1 − ρ) service times."""
    return min(load, 0.99) / (2 * (1 - min(load, 0.99))) / per_core


def listed(load: Load, measured: Measured) -> float:
    """Bytes of an impression, which grows with what is shown."""
    return measured.impression_bytes * load.shown / 20


@dataclass(frozen=True)
class Written:
    """What a cell's updater writes to S3, in bytes a second."""

    full: float
    checkpoint: float
    delta: float
    full_every: float
    """Seconds: with the first publication after 64 deltas, and no later than after a minute (``services/updater/publishing``)."""

    @classmethod
    def of(cls, rows: float, impressions: float, publications: float, load: Load, measured: Measured) -> "Written":
        """Of a cell with so many ids, lists a second and publications a second."""
        whole, full_every = rows * measured.row_bytes, max(1 / publications, min(60.0, 65 / publications))
        changed = impressions * (1 + load.shown * load.different) * (measured.row_bytes + 4)  # a list's user, and its items
        return cls(whole / full_every, 2 * whole / max(60.0, full_every), min(changed, whole * publications), full_every)

    @property
    def bytes(self) -> float:
        """All together."""
        return self.full + self.checkpoint + self.delta


def publications(load: Load, impressions: float) -> float:
    """A second, of a cell: as often as it may, where there is something to publish."""
    return min(1 / load.publish_s, max(1.0, impressions))


def storage(load: Load, written: Written, published: float, readers: int, prices: Prices) -> float:
    """Dollars a month for S3: three objects a publication written, and read by each ranking task; what is kept."""
    asked = 2 / load.poll_s + 3 * published  # pointers; pointer, manifest, rows
    kept = written.bytes * prices.s3_days * 86_400 / 1e9
    return 3 * published * MONTH * prices.put + readers * asked * MONTH * prices.get + kept * prices.s3_gb_month


def cells(load: Load, measured: Measured, limits: Limits) -> int:
    """How many whole loops: as many as the tightest limit asks for, as a power of two, so that cells can be halved and joined."""
    impressions = load.events * load.requests_per_event
    bytes_in = load.events * measured.event_bytes * 2 + impressions * listed(load, measured) * 2  # by item; as examples
    asked = {
        "partitions": bytes_in / limits.partition_bytes / limits.partitions,
        "valkey writes": 2 * load.events / limits.valkey_writes,  # a user's and an item's row; a flush merges many
        "valkey memory": (load.users * measured.user_bytes + load.items * measured.item_bytes) / limits.valkey_bytes,
        "updater": impressions * load.shown / measured.gpu,  # it cannot be shared out: order is what makes it exact
        "rows": (load.users + load.items) / limits.rows_in_memory,
    }
    return 1 << max(0, math.ceil(math.log2(max(asked.values()))))


def predict(load: Load, measured: Measured, limits: Limits, prices: Prices, headroom: float) -> Prediction:
    """Tasks, cost and freshness; all cells together, freshness of one."""
    count = cells(load, measured, limits)
    events, impressions = load.events / count, load.events * load.requests_per_event / count
    rows = impressions * load.shown
    per_request = measured.ranking * 100 / load.candidates
    wanted = {
        "collector": tasks(events, measured.collector, headroom, 2),
        "features": tasks(events, measured.features, headroom, 2),
        "joiner": tasks(impressions, measured.joiner, headroom, 2),
        "ranking": tasks(impressions, per_request, headroom, 2),
    }
    gpus = 1 if rows > measured.updater * headroom else 0
    wanted["updater"] = 0 if gpus else 1
    bytes_in = events * measured.event_bytes * 2 + impressions * listed(load, measured) * 2
    partitions = max(16, 2 ** math.ceil(math.log2(max(bytes_in / limits.partition_bytes, wanted["features"], wanted["joiner"]))))

    read = events * measured.event_bytes * 3 + impressions * listed(load, measured) * 2  # features and joiner; updater

    memory = (load.users * measured.user_bytes + load.items * measured.item_bytes) / count * 1.5 / 1e9
    mean = 1 / load.peak_over_mean
    published = publications(load, impressions)
    written = Written.of(load.users / count + load.items, impressions * mean, published, load, measured)
    dollars = (
        (sum(wanted.values()) + (2 if not gpus else 0)) * prices.core_month * (mean + 1) / 2  # scaling follows half way
        + gpus * prices.gpu_month
        + max(3, math.ceil(bytes_in / prices.broker_bytes / headroom / 3) * 3) * prices.broker_month
        + max(prices.valkey_least, memory * prices.valkey_gb_month)
        + storage(load, written, published, wanted["ranking"], prices)
        + (events * measured.event_bytes + impressions * 5_000) * mean * MONTH / 1e9 * prices.gb_in
        + (bytes_in + read) * 2 / 3 * mean * MONTH / 1e9 * prices.gb_across
        + prices.fixed_month
    )

    updater_rows = measured.gpu if gpus else measured.updater
    stages = {  # (mean, worst) seconds
        "collector": (0.005 + wait(events / wanted["collector"] / measured.collector, measured.collector), 0.05),
        "wait of the rule": (1.06, 1.06),
        "joiner": (wait(impressions / wanted["joiner"] / measured.joiner, measured.joiner), 0.1),
        "window": (0.125, 0.25),
        "learn": (wait(rows / updater_rows, updater_rows) + 0.25 * rows / updater_rows, 0.25),
        "publish": (load.publish_s / 2 + 0.05, load.publish_s + 0.3),
        "swap": (0.05, 2.0),  # an announcement, or at worst the poll
    }
    return Prediction(
        count,
        partitions,
        {name: number * count for name, number in wanted.items()},
        gpus * count,
        dollars * count,
        sum(mean for mean, _ in stages.values()),
        sum(worst for _, worst in stages.values()),
    )


def parsed() -> tuple[list[Load], Measured, float]:
    """The loads and the figures of a core, from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=float, nargs="*", default=[1, 100, 10_000, 1_000_000], help="a second, at the peak")
    parser.add_argument("--users", type=float, help="default: 100 for each event a second")
    parser.add_argument("--items", type=float, default=Load.items)
    parser.add_argument("--shown", type=float, default=Load.shown, help="items of a list that are shown, and so learned")
    parser.add_argument("--publish-s", type=float, default=Load.publish_s)
    parser.add_argument("--headroom", type=float, default=0.6, help="share of a core that is used at the peak")
    for field in fields(Measured):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    given = parser.parse_args()
    loads = [
        Load(events, given.users or 100 * events, given.items, shown=given.shown, publish_s=given.publish_s)
        for events in given.events
    ]
    return loads, Measured(*(getattr(given, field.name) for field in fields(Measured))), given.headroom


HEAD = """\
| events/s | users | cells | partitions | collector | features | joiner | ranking | updater | dollars a month | fresh | worst |
|---|---|---|---|---|---|---|---|---|---|---|---|"""


def row(load: Load, found: Prediction) -> str:
    """A line of the table; partitions are each cell's, all else is of all cells."""
    shared = [f"{found.tasks[name]:,}" for name in ("collector", "features", "joiner", "ranking")]
    updater = f"{found.gpus} GPU" if found.gpus else str(found.tasks["updater"])
    cost = f"{round(found.dollars_month, -2):,.0f}"
    cells = [f"{load.events:,.0f}", f"{load.users:,.0f}", str(found.cells), str(found.partitions), *shared, updater, cost]
    return f"| {' | '.join(cells)} | {found.freshness_mean:.1f} s | {found.freshness_worst:.1f} s |"


def main() -> None:
    """Print a table with a line for each load."""
    loads, measured, headroom = parsed()
    print(HEAD)
    for load in loads:
        print(row(load, predict(load, measured, Limits(), Prices(), headroom)))


if __name__ == "__main__":
    main()
