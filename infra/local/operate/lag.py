"""How far each reader is behind: the age of the last record that it read, not its commits, which may be held back on purpose."""

import re
from collections.abc import Mapping

from infra.local.report.scrape import scrape

AGE = re.compile(r"freshet_last_record_age_seconds\{partition=(?P<partition>[^,]*),topic=(?P<topic>[^}]*)\}")


def ages(urls: Mapping[str, str]) -> dict[tuple[str, str], tuple[float, int]]:
    """The oldest last record by service and topic.

    Args:
        urls: service → its ``/metrics``.

    Returns:
        (service, topic) → (seconds, partitions read).
    """
    found: dict[tuple[str, str], tuple[float, int]] = {}
    for service, url in urls.items():
        for topic, age in _samples(scrape(url)):
            oldest, partitions = found.get((service, topic), (0.0, 0))
            found[service, topic] = max(oldest, age), partitions + 1
    return found


def _samples(metrics: Mapping[str, float]) -> list[tuple[str, float]]:
    return [(match["topic"], value) for name, value in metrics.items() if (match := AGE.fullmatch(name))]
