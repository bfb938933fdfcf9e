"""How far each reader is behind: the age of the last record that it read, not its commits, which may be held back on purpose."""

import re
import socket
from collections.abc import Iterable, Mapping

from infra.local.report.scrape import scrape

AGE = re.compile(r"freshet_last_record_age_seconds\{partition=(?P<partition>[^,]*),topic=(?P<topic>[^}]*)\}")


def replicas(host: str, port: int) -> list[str]:
    """``/metrics`` of each replica that a name stands for; none where nobody has the name."""
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return []
    return [f"http://{address}:{port}/metrics" for address in sorted({str(one[4][0]) for one in found})]


def ages(urls: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], tuple[float, int]]:
    """The oldest last record by service and topic.

    Args:
        urls: service → ``/metrics`` of each of its replicas.

    Returns:
        (service, topic) → (seconds, partitions read).
    """
    found: dict[tuple[str, str], tuple[float, int]] = {}
    for service, url in ((service, url) for service, each in urls.items() for url in each):
        for topic, age in _samples(scrape(url)):
            oldest, partitions = found.get((service, topic), (0.0, 0))
            found[service, topic] = max(oldest, age), partitions + 1
    return found


def _samples(metrics: Mapping[str, float]) -> list[tuple[str, float]]:
    return [(match["topic"], value) for name, value in metrics.items() if (match := AGE.fullmatch(name))]
