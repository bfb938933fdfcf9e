"""Freshness, end to end: from the collector's receipt of an outcome to the first answer by a bundle that learned it.

A bundle learned what its manifest lists and what its ancestors' manifests list. An outcome that no answering bundle learned has
infinite freshness and stays in the figures.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.shopper.log import Accepted, Asked
from shared.bundles.manifest import Manifest

Place = tuple[int, int]
"""Partition and offset on ``behaviour``."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Seconds, one number an accepted outcome; infinite where it was never learned."""

    all: NDArray[np.float64]
    in_example: NDArray[np.float64]
    """Of those learned inside their impression's example."""
    corrections: NDArray[np.float64]
    """Of those learned as a correction."""


def first_answers(asked: Iterable[Asked]) -> dict[str, float]:
    """Bundle → when its first answer was complete."""
    first: dict[str, float] = {}
    for line in asked:
        if line.status == "ok":
            first[line.bundle] = min(first.get(line.bundle, np.inf), line.finished_wall)
    return first


def first_seen(manifests: Mapping[str, Manifest], answers: Mapping[str, float]) -> dict[str, float]:
    """Bundle → when it or a descendant first answered; infinite where none did."""
    seen = {version: answers.get(version, np.inf) for version in manifests}
    for version in sorted(manifests, reverse=True):  # a parent's name sorts before its children's
        parent = manifests[version].parent
        if parent in seen:
            seen[parent] = min(seen[parent], seen[version])
    return seen


def learned(manifests: Mapping[str, Manifest], seen: Mapping[str, float]) -> tuple[dict[Place, float], dict[Place, float]]:
    """When each outcome was first seen to be learned: (inside examples, as corrections)."""
    inside: dict[Place, float] = {}
    late: dict[Place, float] = {}
    for version, manifest in manifests.items():
        for into, listed in ((inside, manifest.outcomes), (late, manifest.corrections)):
            for partition, offsets in listed.items():
                for offset in offsets:
                    place = (int(partition), offset)
                    into[place] = min(into.get(place, np.inf), seen[version])
    return inside, late


def freshness(accepted: Iterable[Accepted], answers: Mapping[str, float], manifests: Mapping[str, Manifest]) -> Freshness:
    """Over every accepted outcome: an event that answers a ranking and has a receipt.

    Args:
        accepted: what was reported.
        answers: bundle → when it first answered; see :func:`first_answers`.
        manifests: every bundle's.
    """
    inside, late = learned(manifests, first_seen(manifests, answers))
    every, examples, corrections = [], [], []
    for line in accepted:
        if not line.request_id or line.offset < 0:
            continue
        place = (line.partition, line.offset)
        seconds = min(inside.get(place, np.inf), late.get(place, np.inf)) - line.accepted_wall
        every.append(seconds)
        if place in inside:
            examples.append(seconds)
        elif place in late:
            corrections.append(seconds)
    return Freshness(np.array(every), np.array(examples), np.array(corrections))


def quantile(seconds: NDArray[np.float64], share: float) -> float | None:
    """The smallest value that this share does not exceed; ``None`` where that is infinite or there is none."""
    if not len(seconds):
        return None
    value = float(np.quantile(seconds, share, method="inverted_cdf"))
    return round(value, 4) if np.isfinite(value) else None
