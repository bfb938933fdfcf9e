"""The report's figures from what was gathered: the content of ``report.json``."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from infra.local.report.freshness import Freshness, first_answers, freshness, quantile
from infra.local.report.kafka import Topics
from infra.local.report.quality import Rows, measures, paired
from infra.local.report.rows import alone
from services.shopper.log import Accepted, Asked, Played
from shared.bundles.manifest import Manifest

COLD = 20
"""Exposures below which an item is cold."""


@dataclass(slots=True)
class Gathered:
    """All that the report is made from."""

    played: Played
    asked: list[Asked]
    accepted: list[Accepted]
    topics: Topics
    manifests: dict[str, Manifest]
    """Every bundle of the task by version."""
    rows: Rows
    """What was shown and judged; see :func:`infra.local.report.rows.judged`."""
    counters: dict[str, float] = field(default_factory=dict)
    """Of the services' ``/metrics``, by name, summed over labels."""
    memory: dict[str, float] = field(default_factory=dict)
    """Peak resident memory of each service, MB."""
    steps: dict[str, float] = field(default_factory=dict)
    """The cold start's budget: seconds of each step."""

    @property
    def questions(self) -> list[Asked]:
        """What the play asked, without the probes."""
        return [line for line in self.asked if not line.probe]

    def freshness(self) -> Freshness:
        """Of every accepted outcome."""
        return freshness(self.accepted, first_answers(self.asked), self.manifests)


def report(gathered: Gathered) -> dict[str, Any]:
    """Everything, as JSON's types; a figure that is infinite or unknown is ``None``."""
    played = gathered.played
    seconds = played.ended_wall - played.started_wall
    rows = gathered.rows
    figures = {
        "play": played.play,
        "kind": played.kind,
        "seconds": seconds,
        "shop_hours_per_second": (played.last_time - played.first_time) / 3600 / seconds if seconds else None,
        "negatives": "sampled: each list is the bought product and others that the shop sold in the 28 days before",
        "events": _events(gathered),
        "requests": _requests(gathered),
        "rank_ms": _latency(gathered.questions),
        "examples": gathered.topics.lists,
        "corrections": gathered.topics.corrections,
        "unmatched": gathered.topics.unmatched.total(),
        "unmatched_by_reason": dict(gathered.topics.unmatched),
        "dead_letters": dict(gathered.topics.dead),
        "undecodable": gathered.topics.undecodable,
        "bundles": _bundles(gathered),
        "freshness_s": _freshness(gathered.freshness()),
        "prequential": _quality(rows),
        "cold_items": _quality(rows.where(rows.exposures < COLD)) | {"exposures_below": COLD},
        "alone_auc": alone(gathered.questions),
        "throughput": _throughput(gathered, seconds),
        "memory_mb": gathered.memory,
        "cold_start_s": gathered.steps,
    }
    return _plain(figures)  # type: ignore[no-any-return]


def _events(gathered: Gathered) -> dict[str, int]:
    """Lost is what the collector acknowledged and the topic lacks; duplicated is what stands there more than once."""
    on_topic = gathered.topics.events
    accepted = [line for line in gathered.accepted if line.offset >= 0]
    return {
        "sent": len(gathered.accepted),
        "accepted": len(accepted),
        "never_accepted": len(gathered.accepted) - len(accepted),
        "retried": sum(line.attempts > 1 for line in accepted),
        "lost": sum(on_topic.get((line.partition, line.offset)) != line.event_id for line in accepted),
        "duplicated": len(on_topic) - len(set(on_topic.values())),
        "outcomes": sum(bool(line.request_id) for line in accepted),
    }


def _requests(gathered: Gathered) -> dict[str, int]:
    questions = gathered.questions
    return (
        {"sent": len(questions)}
        | {
            name: sum(line.status == status for line in questions)
            for name, status in (("answered", "ok"), ("shed", "shed"), ("failed", "failed"))
        }
        | {"degraded": sum(line.degraded for line in questions)}
    )


def _latency(questions: list[Asked]) -> dict[str, float | None]:
    """From the scheduled arrival (open loop), and apart from the sending."""
    answered = [line for line in questions if line.status == "ok"]
    opened = np.array([line.finished_wall - line.scheduled_wall for line in answered]) * 1e3
    sent = np.array([line.finished_wall - line.sent_wall for line in answered]) * 1e3
    return {
        "p50": quantile(opened, 0.5),
        "p99": quantile(opened, 0.99),
        "from_sending_p50": quantile(sent, 0.5),
        "from_sending_p99": quantile(sent, 0.99),
    }


def _bundles(gathered: Gathered) -> dict[str, Any]:
    answered = {line.bundle for line in gathered.asked if line.status == "ok"}
    made = [manifest for manifest in gathered.manifests.values() if manifest.created >= gathered.played.started_wall]
    return {
        "published": len(made),
        "full": sum(manifest.kind == "full" for manifest in made),
        "delta": sum(manifest.kind == "delta" for manifest in made),
        "announced": gathered.topics.announced,
        "swapped": max(len(answered) - 1, 0),
        "refused": int(gathered.counters.get("ranking_bundles_refused_total", 0)),
        "answered": len(answered),
    }


def _freshness(found: Freshness) -> dict[str, Any]:
    def figures(seconds: Any) -> dict[str, Any]:
        never = int(np.isinf(seconds).sum())
        return {"p50": quantile(seconds, 0.5), "p99": quantile(seconds, 0.99), "n": len(seconds), "never": never}

    return figures(found.all) | {"in_example": figures(found.in_example), "corrections": figures(found.corrections)}


def _quality(rows: Rows) -> dict[str, Any]:
    """Live is the score as served, frozen the base bundle on the same logged features."""
    figures: dict[str, Any] = {"rows": len(rows.labels), "lists": len(np.unique(rows.lists)), "live": measures(rows, rows.live)}
    if len(rows.labels) and np.isfinite(rows.frozen).all():
        figures |= {"frozen": measures(rows, rows.frozen), "live_less_frozen": paired(rows)}
    return figures


def _throughput(gathered: Gathered, seconds: float) -> dict[str, float | None]:
    if not seconds:
        return {}
    return {
        "requests_per_s": len(gathered.questions) / seconds,
        "events_per_s": len(gathered.accepted) / seconds,
        "outcomes_per_s": sum(bool(line.request_id) for line in gathered.accepted) / seconds,
    }


def _plain(value: Any) -> Any:
    """Numbers of numpy's as Python's, rounded to what they mean; what is no number as ``None``."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, float | np.floating):
        return round(float(value), 5) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
