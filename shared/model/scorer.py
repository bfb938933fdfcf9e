"""A bundle as it is served: numpy tables, both sides, and the graph in ONNX Runtime. No torch, no feast, no onnx.

One thread owns a scorer. :meth:`Scorer.score` never waits, and a :class:`shared.model.update.Update` is applied between two
scores, so that every answer is exactly one bundle's.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from shared.bundles.files import weights_sha256
from shared.bundles.manifest import Manifest
from shared.errors import BundleRefused
from shared.model.calibration import probabilities
from shared.model.dense import Dense, Profile
from shared.model.moment import moment_keys
from shared.model.pooling import shares
from shared.model.row_map import Rows
from shared.model.sides import Sides
from shared.model.tables import Table
from shared.model.texts import Texts

F4 = NDArray[np.float32]
U8 = NDArray[np.uint64]


class Features(Protocol):
    """The dense features of one request, columns in the order of the bundle's inputs."""

    @property
    def user(self) -> F4:
        """(U,)."""

    @property
    def candidate(self) -> F4:
        """(n, C)."""

    @property
    def history(self) -> U8:
        """(h,) keys of the items that the user deals with most."""

    @property
    def history_weights(self) -> F4:
        """(h,) their decayed counts."""


@dataclass(frozen=True, slots=True)
class Scorer:
    """One version of a model."""

    manifest: Manifest
    tables: dict[str, Table]
    texts: Texts
    dense: Dense
    sides: Sides
    session: ort.InferenceSession

    def score(self, features: Features, items: U8, user: int, time: float, log_odds: F4 | None = None) -> F4:
        """The probability of each label for each candidate.

        Args:
            features: of the request, assembled for this bundle's inputs.
            items: (n,) the candidates' keys.
            user: the user's key.
            time: of the impression, seconds since 1970 UTC.
            log_odds: (n,) added to the logit; none where the candidates were not sampled.

        Returns:
            (n, L): one column a label, the first ranks.
        """
        return self.score_rows(features, self.tables["item"].find(items), user, time, log_odds)

    def score_rows(self, features: Features, rows: Rows, user: int, time: float, log_odds: F4 | None = None) -> F4:
        """As :meth:`score`, of candidates whose rows in the item table are known. (n, L)."""
        profile = self.profile(features)
        candidate = self.candidate(self.dense.candidate(features.candidate), rows, profile.text)
        side, items = self.user_side(features, user, time, profile), self.sides.items(rows)
        if not self.manifest.calibrator:
            return self.run("scores", side, items, candidate, log_odds)
        return self._calibrated(self.run("logits", side, items, candidate, log_odds), user)

    def _calibrated(self, logits: F4, user: int) -> F4:
        """Scores of logits, the first label's by the curve of what the user is to the model. (n, L)."""
        odds = logits.astype(np.float64)
        curve = self.manifest.calibrator.get("known" if self.tables["user"].find_one(user) else "new")
        if curve:
            odds[:, 0] = curve(odds[:, 0])
        return probabilities(odds).astype(np.float32)

    def sha256(self) -> str:
        """The hash of all weights, as the manifest gives it."""
        used = {name: (table.keys[: table.rows], table.values[: table.rows]) for name, table in self.tables.items()}
        return weights_sha256(used, self.dense.weights)

    def profile(self, features: Features) -> Profile:
        """What the user deals with, of their history."""
        rows, weights = self.tables["item"].find(features.history), features.history_weights
        mean: F4 = weights @ self.texts.vectors[self.sides.attributes[rows, 2]]
        length = np.sqrt(mean @ mean)
        pooled: F4 = shares(weights) @ self.tables["item"].values.take(rows, axis=0)
        return Profile(mean / length if length > 0 else mean, pooled[:-1])

    def user_side(self, features: Features, user: int, time: float, profile: Profile) -> F4:
        """What user, moment and profile bring to every candidate. (1, S)."""
        return self.dense.user_side(self.moment_rows(user, time), profile, self.dense.user(features.user))

    def moment_rows(self, user: int, time: float) -> F4:
        """The rows of user, hour and weekday. (3, dim + 1)."""
        hour, weekday = moment_keys(np.array([time]))
        found = (("user", user), ("hour", int(hour[0])), ("weekday", int(weekday[0])))
        return np.stack([self.tables[name].values[self.tables[name].find_one(key)] for name, key in found])

    def candidate(self, normalised: F4, rows: Rows, profile: F4) -> F4:
        """A candidate's own columns of the first layer: (n, C) and the cosine of its text and the profile. (n, C + 1)."""
        columns = np.empty((len(rows), normalised.shape[1] + 1), np.float32)
        columns[:, :-1] = normalised
        np.matmul(self.texts.vectors[self.sides.attributes[rows, 2]], profile, out=columns[:, -1])
        return columns

    def run(self, output: str, user: F4, items: F4, candidate: F4, log_odds: F4 | None) -> F4:
        """The graph's ``logits`` or ``scores`` for both sides. (n, L)."""
        offsets = np.zeros((len(items), 1), np.float32) if log_odds is None else log_odds.reshape(-1, 1)
        feed = {"user": user, "items": items, "candidate": candidate, "log_odds": offsets}
        answer: F4 = self.session.run([output], feed)[0]
        return answer


def session(graph: bytes) -> ort.InferenceSession:
    """The graph on one thread that never spins: requests share the processor with everything else.

    Raises:
        BundleRefused: ``corrupt``: the runtime cannot read it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises classes of its own for each way in which bytes are no graph
        raise BundleRefused("corrupt", f"the graph cannot be loaded: {error}") from None


def check_graph(graph: ort.InferenceSession, dense: Dense, labels: int) -> None:
    """See that the graph takes what the sides make, and gives finite numbers.

    Raises:
        BundleRefused: ``shapes`` or ``non_finite``.
    """
    side, own = dense.user_weights.shape[1] + dense.dim + 1, len(dense.inputs.candidate) + 1
    wanted: dict[str, list[Any]] = {"user": [1, side], "items": ["n", side], "candidate": ["n", own], "log_odds": ["n", 1]}
    found = {one.name: one.shape for one in graph.get_inputs()}
    if found != wanted:
        raise BundleRefused("shapes", f"the graph takes {found}, this bundle's weights make {wanted}")
    probe = {name: np.ones([2 if size == "n" else size for size in shape], np.float32) for name, shape in wanted.items()}
    scores = graph.run(["scores"], probe)[0]
    if scores.shape != (2, labels):
        raise BundleRefused("shapes", f"the graph gives {scores.shape[1:]} scores for {labels} labels")
    if not np.isfinite(scores).all():
        raise BundleRefused("non_finite", "the graph gives scores that are not finite numbers")
