"""What running services say of themselves: their counters, and the most memory they ever held."""

import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families


def sample(text: str) -> dict[str, float]:
    """The samples of ``/metrics`` by name, summed over labels; and each with its labels as ``name{label=value,...}``."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(one.labels.items()))
            found[one.name] = found.get(one.name, 0.0) + one.value
            if labels:
                found[f"{one.name}{{{labels}}}"] = one.value
    return found


def scrape(url: str, seconds: float = 2.0) -> dict[str, float]:
    """One service's samples; nothing where it does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            return sample(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return {}


def counters(urls: Mapping[str, str]) -> dict[str, float]:
    """All services' samples in one; their names begin with the service's."""
    return {name: value for url in urls.values() for name, value in scrape(url).items()}


def peak_memory(process: int) -> float:
    """MB that a process and its children held at most, each at its own peak; 0 where it has ended."""
    try:
        tree = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(_peak(one) for one in tree) / 1e6


def _peak(process: psutil.Process) -> float:
    """Bytes: the kernel's high-water mark, or what is held now where there is none."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return next(float(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return float(process.memory_info().rss)
