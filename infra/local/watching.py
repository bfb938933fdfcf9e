"""What can be seen of a play while it runs: from the shopper's log, the services' metrics and the manifests."""

from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from infra.local.report.freshness import freshness, quantile
from infra.local.report.ledger import Ledger
from infra.local.report.scrape import scrape
from services.shopper.log import Accepted, Asked, Tail
from shared.bundles.storage import Storage
from shared.errors import Unavailable

LATELY = 30.0
"""Seconds that rates and quantiles are about."""
SETTLING = 5.0
"""Seconds after which an outcome counts as not learned in the view; the report waits for all."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look; ``None`` is not known yet."""

    events_per_s: float = 0.0
    requests_per_s: float = 0.0
    rank_p50_ms: float | None = None
    rank_p99_ms: float | None = None
    asked: int = 0
    failed: int = 0
    shed: int = 0
    reported: int = 0
    event_time: float = 0.0
    """Seconds since 1970 of the shop's time."""
    bundle: str = ""
    window: int = 0
    bundles: int = 0
    """Different ones that answered."""
    fresh_p50: float | None = None
    fresh_p99: float | None = None
    services: Mapping[str, float] = field(default_factory=dict)
    """All samples of the services' ``/metrics`` by name."""

    def quality(self, prediction: str, metric: str = "auc") -> float | None:
        """The updater's running measure of ``served`` or ``frozen`` over its settled rows."""
        return self.services.get(f"updater_quality{{metric={metric},prediction={prediction},slice=all}}")


class Watcher:
    """Looks again and again; each look costs a few milliseconds."""

    def __init__(self, urls: Mapping[str, str], log: Path, storage: Storage) -> None:
        """A watcher of the plays from now on.

        Args:
            urls: service → its ``/metrics``.
            log: the shopper's folder.
            storage: where the manifests are.
        """
        self._urls, self._ledger = urls, Ledger(storage, log)
        self._asked, self._accepted = Tail(log, Asked), Tail(log, Accepted)
        for tail in (self._asked, self._accepted):
            deque(tail.new(), maxlen=0)  # earlier plays
        self._questions, self._receipts = deque[Asked](), deque[Accepted]()
        self._answers: dict[str, float] = {}
        self._counts = {"ok": 0, "failed": 0, "shed": 0, "reported": 0}
        self._last: Asked | None = None

    def look(self, now: float) -> Seen:
        """What is to be seen at this wall time."""
        self._read_log(now)
        fresh = self._freshness(now)
        took = np.array([line.finished_wall - line.scheduled_wall for line in self._questions if line.status == "ok"]) * 1e3
        last = self._last
        return Seen(
            events_per_s=sum(line.accepted_wall > now - LATELY for line in self._receipts) / LATELY,
            requests_per_s=len(self._questions) / LATELY,
            rank_p50_ms=quantile(took, 0.5),
            rank_p99_ms=quantile(took, 0.99),
            asked=self._counts["ok"] + self._counts["failed"] + self._counts["shed"],
            failed=self._counts["failed"],
            shed=self._counts["shed"],
            reported=self._counts["reported"],
            event_time=last.time if last else 0.0,
            bundle=last.bundle if last else "",
            window=last.window if last else 0,
            bundles=len(self._answers),
            fresh_p50=quantile(fresh, 0.5),
            fresh_p99=quantile(fresh, 0.99),
            services=self._scrape(),
        )

    def _read_log(self, now: float) -> None:
        for line in self._asked.new():
            if line.status == "ok":
                self._answers.setdefault(line.bundle, line.finished_wall)
                self._last = line
            if not line.probe:
                self._counts[line.status] += 1
                self._questions.append(line)
        for receipt in self._accepted.new():
            self._counts["reported"] += 1
            self._receipts.append(receipt)
        while self._questions and self._questions[0].finished_wall < now - LATELY:
            self._questions.popleft()
        while self._receipts and self._receipts[0].accepted_wall < now - LATELY - SETTLING:
            self._receipts.popleft()

    def _freshness(self, now: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        try:
            manifests = self._ledger.refresh()
        except Unavailable:  # the view goes on with what it knows
            manifests = self._ledger.manifests
        settled = [line for line in self._receipts if line.accepted_wall < now - SETTLING]
        return freshness(settled, self._answers, manifests).all

    def _scrape(self) -> dict[str, float]:
        with ThreadPoolExecutor(len(self._urls) or 1) as pool:
            return {name: value for found in pool.map(scrape, self._urls.values()) for name, value in found.items()}
