"""Gather what a play left, work out the figures, and write ``report.json`` and ``report.html``."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.local.report.kafka import read as read_topics
from infra.local.report.ledger import Ledger, base_of
from infra.local.report.page import page
from infra.local.report.plots import plots
from infra.local.report.rows import judged
from infra.local.report.scrape import counters, peak_memory
from infra.local.report.summary import Gathered, report
from services.shopper.log import Accepted, Asked, Played, read
from shared.bundles.manifest import Pointer
from shared.bundles.reader import BundleReader
from shared.bundles.signing import verify_key as read_key
from shared.bundles.storage import Storage
from shared.datasets.complete_journey import FIRST, Journey
from shared.errors import BadInput, BundleRefused
from shared.model.scorer import Scorer
from shared.settings import Settings


def run_report(
    settings: Settings,
    log: Path,
    out: Path,
    *,
    verify_key: Path,
    play: str | None = None,
    metrics: Mapping[str, str] | None = None,
    processes: Mapping[str, int] | None = None,
    steps: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Write the report of one play into ``out``, and return its figures.

    Args:
        settings: where the engines are.
        log: the shopper's log folder.
        out: the folder for ``report.json`` and ``report.html``.
        verify_key: the public key that bundles are signed for.
        play: its name; the last one that ended where none is given.
        metrics: service → URL of its ``/metrics``; one that does not answer is left out.
        processes: service → process id, for its peak memory.
        steps: the cold start's seconds by step.

    Raises:
        BadInput: the log has no such play.
    """
    gathered = gather(settings, log, _played(log, play), verify_key)
    gathered.counters = counters(metrics or {})
    gathered.memory = {name: peak_memory(process) for name, process in (processes or {}).items()}
    gathered.memory["shopper"] = gathered.played.memory_mb
    gathered.steps = dict(steps or {})
    figures = report(gathered)
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(figures, indent=2) + "\n")
    (out / "report.html").write_text(page(figures, plots(gathered)))
    return figures


def gather(settings: Settings, log: Path, played: Played, verify_key: Path) -> Gathered:
    """Read the log, the topics, the manifests and the base bundle of one play."""
    asked, accepted = list(read(log, Asked, played.play)), list(read(log, Accepted, played.play))
    storage = Storage.connect(settings)
    manifests = dict(Ledger(storage, log).refresh())
    requests = [line.request_id for line in asked if line.request_id and not line.probe]
    topics = asyncio.run(read_topics(settings, played.started_wall, requests, [line.event_id for line in accepted]))
    answered = next((line.bundle for line in asked if line.bundle), "")
    base = _base(storage, base_of(manifests, answered), verify_key)
    rows = judged(asked, accepted, topics.impressions, base, _shown_before(played, log / "cache"))
    return Gathered(played, asked, accepted, topics, manifests, rows)


def _played(log: Path, play: str | None) -> Played:
    ended = list(read(log, Played, play))
    if not ended:
        raise BadInput(f"{log} has no play{f' {play}' if play else ''} that ended: run `python -m services.shopper` first")
    return ended[-1]


def _base(storage: Storage, version: str | None, verify_key: Path) -> Scorer | None:
    """The frozen base as it would be served; ``None`` where it was deleted."""
    if version is None:
        return None
    reader = BundleReader(storage, read_key(verify_key))
    try:
        return reader.load(Pointer(task=storage.task, version=version, epoch=0, full=version, moved_at=0.0))
    except BundleRefused:
        return None


def _shown_before(played: Played, cache: Path) -> Counter[str]:
    """Item → lists that it was in before this play: the history's and earlier plays'."""
    if played.kind != "journey":
        return Counter()
    journey = Journey.load(played.households, played.seed, cache=cache)
    shown: Counter[str] = Counter()
    for basket in journey.baskets(FIRST, datetime.fromtimestamp(played.first_time, UTC)):
        for candidates in basket.lists:
            shown.update(candidate.item_id for candidate in candidates.candidates)
    return shown
