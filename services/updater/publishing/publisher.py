"""Publishes bundles beside the loop: a snapshot is taken in the loop, all that waits for the storage runs in a thread of its own.

At most one bundle is on its way; what is learned meanwhile joins the next. The order never changes: files, manifest, pointer,
announcement, checkpoint. Where the storage is away the same bundle is sent again until it stands, and learning goes on.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from structlog.stdlib import BoundLogger

from services.updater import exported
from services.updater.publishing.bundle import Chain, Composer, Release
from services.updater.publishing.checkpoints import Arrays, Checkpoints, Progress
from services.updater.publishing.published import Published
from services.updater.publishing.retention import Retention
from shared.bundles.manifest import File, Manifest
from shared.bundles.storage import Storage
from shared.errors import Unavailable
from shared.failpoints import failpoint
from shared.messages import BundleAnnouncement

T = TypeVar("T")
Announce = Callable[[BundleAnnouncement], None]
Track = Callable[[Manifest, str, Published], None]
"""Takes a full bundle that stands: its manifest, its card, and all that readers hold."""
UPLOADS = 4
"""Files on their way at once."""
AGAIN_S = (0.1, 0.5, 2.0)
"""Pauses before a bundle is sent again; the last one repeats."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint on its way with its full bundle."""

    progress: Progress
    state: Arrays


class Publisher:
    """Carries releases to the storage, one after another."""

    def __init__(
        self, storage: Storage, composer: Composer, published: Published, chain: Chain, keep_fulls: int, planned: tuple[str, ...],
        announce: Announce, log: BoundLogger, track: Track | None = None,
    ) -> None:  # fmt: skip
        self.chain, self.published = chain, published
        self.saved = 0
        """The window of this life's newest checkpoint that stands."""
        self._storage, self._composer, self._announce, self._log = storage, composer, announce, log
        self._track = track
        self._checkpoints, self._retention = Checkpoints(storage), Retention(storage, keep_fulls, planned)
        self._thread = ThreadPoolExecutor(1, "publish")
        self._uploads = ThreadPoolExecutor(UPLOADS, "upload")
        self._flight: Future[None] | None = None
        self._stopping = False

    @property
    def busy(self) -> bool:
        """Whether a bundle is on its way. Raises what stopped the last one, such as :class:`shared.errors.Fenced`."""
        if self._flight is not None and self._flight.done():
            self._flight.result()
            self._flight = None
        return self._flight is not None

    def publish(self, release: Release, saved: Saved | None = None, kept: frozenset[str] = frozenset()) -> None:
        """Send a bundle on its way; nothing else may be on its way. Versions ``kept`` do not expire with it."""
        self._flight = self._thread.submit(self._run, release, saved, kept)

    def fall_back(self, chain: Chain, epoch: int) -> None:
        """Send readers back to a bundle that is there; nothing else may be on its way."""
        self._flight = self._thread.submit(self._go_back, chain, epoch)

    def point(self, chain: Chain, epoch: int) -> None:
        """Move the pointer to a bundle that is there, for this epoch.

        Raises:
            Fenced: a newer updater holds it.
        """
        self._storage.move_latest(chain.pointer(self._storage.task, epoch, time.time()))
        self.chain = chain

    def checkpoint(self, saved: Saved) -> None:
        """Save a checkpoint of a bundle that stands."""
        self._checkpoints.save(saved.progress, saved.state)
        self.saved = saved.progress.window

    def drain(self, seconds: float) -> bool:
        """Wait for the bundle on its way; whether it arrived."""
        try:
            if self._flight is not None:
                self._flight.result(seconds)
                self._flight = None
            return True
        except NotYet:
            return False

    def close(self) -> None:
        """Give up what is still on its way: a restart makes it again."""
        self._stopping = True
        self._thread.shutdown(cancel_futures=True)
        self._uploads.shutdown(cancel_futures=True)

    def _run(self, release: Release, saved: Saved | None, kept: frozenset[str]) -> None:
        began = time.monotonic()
        if release.anew:
            self.published.clear()
        self.published.apply(release.change)
        files, parent = self._composer.files(release, self.published), self.chain.version
        manifest = self._until_done(lambda: self._store(release, files, parent))
        self._until_done(lambda: self._finish(release, manifest))
        exported.published(manifest, sum(map(len, files.values())), time.monotonic() - began)
        self._log.info("published", bundle=manifest.version, kind=manifest.kind, parent=parent, windows=manifest.windows)
        if self._track and release.due.full:
            self._track(manifest, files["card"].decode(), self.published)
        if saved is not None:
            failpoint("checkpoint")
            self._until_done(lambda: self.checkpoint(saved))
        self._until_done(lambda: self._retention.add(manifest, checkpoint=saved is not None, keep=kept))
        self._until_done(self._retention.step)

    def _go_back(self, chain: Chain, epoch: int) -> None:
        self._until_done(lambda: self.point(chain, epoch))
        exported.fallbacks.inc()
        self._log.error("fell back to the last good bundle", bundle=chain.version)

    def _store(self, release: Release, files: Mapping[str, bytes], parent: str) -> Manifest:
        """Files first, all at once, then the manifest that names them."""
        stored: dict[str, File] = dict(zip(files, self._uploads.map(self._storage.put_blob, files.values()), strict=True))
        failpoint("publish")
        manifest = self._composer.manifest(release, self.published, stored, parent)
        self._storage.put_manifest(manifest)
        return manifest

    def _finish(self, release: Release, manifest: Manifest) -> None:
        """Pointer, then announcement."""
        failpoint("pointer")
        chain = self.chain if self.chain.version == release.version else self.chain.then(release)
        self._storage.move_latest(chain.pointer(self._storage.task, release.epoch, time.time()))
        self.chain = chain
        failpoint("announce")
        self._announce(announcement(manifest, self._storage))

    def _until_done(self, step: Callable[[], T]) -> T:
        """Again while an engine is away: a step that was done already is harmless."""
        for attempt in count():
            try:
                return step()
            except Unavailable as error:
                if self._stopping:
                    raise
                exported.waits.inc()
                self._log.warning("publishing waits", reason=str(error))
                time.sleep(AGAIN_S[min(attempt, len(AGAIN_S) - 1)])
        raise AssertionError


def announcement(manifest: Manifest, storage: Storage) -> BundleAnnouncement:
    """What tells readers of a bundle."""
    return BundleAnnouncement(
        task=manifest.task,
        version=manifest.version,
        parent=manifest.parent,
        manifest=storage.manifest_key(manifest.version),
        published_at=time.time(),
    )
