"""Composes a bundle: its files from what is published, its manifest from what was learned, and the updater's signature."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.updater.publishing.card import card
from services.updater.publishing.published import Change, Published
from services.updater.publishing.schedule import Due
from services.updater.windows.window import Ledger
from shared.bundles.files import encode_dense, encode_tables
from shared.bundles.manifest import Curve, File, Manifest, Pointer, version
from shared.bundles.signing import sign
from shared.messages import Inputs
from shared.model.graph import GraphTemplate
from shared.tasks import LearningSettings, Task


@dataclass(frozen=True)
class Release:
    """Everything that one bundle is made of, taken from the learner in one moment."""

    window: int
    epoch: int
    due: Due
    change: Change
    anew: bool
    """The change is everything: what readers hold is not its parent (after a fall-back or a refused bundle)."""
    ledger: Ledger
    offsets: Mapping[str, int]
    catalogues: tuple[File, ...]
    """All so far."""
    metrics: Mapping[str, float]
    created: float
    learning: LearningSettings
    """Of the champion that learned it."""
    calibrator: Mapping[str, Curve] = field(default_factory=dict)

    @property
    def version(self) -> str:
        return version(self.window, self.epoch)


@dataclass(frozen=True)
class Chain:
    """The bundle that the pointer names, and how a reader without its parent gets there."""

    version: str
    full: str
    deltas: tuple[str, ...] = ()

    def then(self, release: Release) -> "Chain":
        """With this bundle published."""
        if release.due.full:
            return Chain(release.version, release.version)
        return Chain(release.version, self.full, (*self.deltas, release.version))

    def pointer(self, task: str, epoch: int, moved_at: float) -> Pointer:
        """What ``latest.json`` says."""
        return Pointer(task=task, version=self.version, epoch=epoch, full=self.full, deltas=self.deltas, moved_at=moved_at)

    @classmethod
    def of(cls, pointer: Pointer) -> "Chain":
        """From what ``latest.json`` says."""
        return cls(pointer.version, pointer.full, pointer.deltas)


class Composer:
    """Makes files and manifests of one task's model."""

    def __init__(self, task: Task, inputs: Inputs, trainable: tuple[str, ...], key: Ed25519PrivateKey) -> None:
        self._task, self._inputs, self._trainable, self._key = task, inputs, trainable, key
        self._graph = GraphTemplate(inputs, len(task.labels), task.model.dim, task.model.hidden, task.model.bins)

    def files(self, release: Release, published: Published) -> dict[str, bytes]:
        """The bundle's own files by role; catalogues are stored already. ``published`` holds the change."""
        change = published.full() if release.due.full else release.change
        files = {"tables": encode_tables(change.tables)}
        if change.dense is not None:
            files |= {"dense": encode_dense(change.dense), "graph": self._graph.fill(change.dense)}
        if release.due.full:
            task = msgspec.structs.replace(self._task, learning=release.learning)
            said = card(task, self._inputs, self._trainable, release.version, release.created, release.metrics)
            files["card"] = said.encode()
        return files

    def manifest(self, release: Release, published: Published, files: Mapping[str, File], parent: str | None) -> Manifest:
        """The signed manifest of these stored files."""
        model, ledger = self._task.model, release.ledger
        new = release.catalogues if release.due.full else ledger.catalogues
        start = len(release.catalogues) - len(new)
        return sign(
            Manifest(
                task=self._task.name,
                version=release.version,
                window=release.window,
                epoch=release.epoch,
                kind="full" if release.due.full else "delta",
                parent=parent,
                created=release.created,
                files=dict(files) | {f"catalogue-{n}": file for n, file in enumerate(new, start)},
                labels=self._task.labels,
                inputs=self._inputs,
                dim=model.dim,
                hidden=model.hidden,
                text_dim=model.text_dim,
                tables=published.sizes(),
                frozen=model.frozen,
                trainable=self._trainable,
                offsets=dict(release.offsets),
                outcomes=_sorted(ledger.outcomes),
                corrections=_sorted(ledger.corrections),
                windows=(ledger.first or release.window, ledger.last or release.window),
                metrics=dict(release.metrics),
                calibrator=dict(release.calibrator),
                weights_sha256=published.sha256(),
                trace_id=ledger.trace_id,
            ),
            self._key,
        )


def _sorted(offsets: Mapping[str, list[int]]) -> dict[str, tuple[int, ...]]:
    return {partition: tuple(sorted(offsets[partition])) for partition in sorted(offsets)}
