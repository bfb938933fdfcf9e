"""What goes wrong on the way to the learner: windows that are lost, and windows that come late."""

from collections import deque
from dataclasses import replace

import numpy as np

from services.updater.learning.batches import Batch
from tests.bench.learning.ours import Freshet
from tests.bench.learning.protocol import F8, I8, Known, Stream


class Lost:
    """The learner, of whose windows this share never comes; a late positive of such a window takes back nothing."""

    def __init__(self, model: Freshet, share: float, seed: int = 7) -> None:
        self.model, self.share, self.rng = model, share, np.random.default_rng(seed)
        self.gone: set[int] = set()

    def begin(self, stream: Stream, lists: I8) -> None:
        """As the learner does."""
        self.model.begin(stream, lists)

    def predict(self, rows: Batch) -> F8:
        """As the learner does."""
        return self.model.predict(rows)

    def learn(self, known: Known) -> None:
        """What is not lost."""
        if self.rng.random() < self.share:
            self.gone |= set(known.shown.tolist())
            return
        batch = known.examples()
        unseen = np.array([origin.offset in self.gone for origin in batch.origins])
        self.model.take(replace(batch, late=np.where(unseen[batch.list][:, None], np.float32(0), batch.late)))


class Late(Lost):
    """The learner, all of whose windows come so many windows late."""

    def __init__(self, model: Freshet, windows: float) -> None:
        super().__init__(model, 0.0)
        self.windows, self.waiting = windows, deque[Known]()

    def learn(self, known: Known) -> None:
        """The window that is due now."""
        self.waiting.append(known)
        if len(self.waiting) > self.windows:
            self.model.learn(self.waiting.popleft())
