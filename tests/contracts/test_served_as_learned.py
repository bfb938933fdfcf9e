"""What ONNX Runtime serves of a learner's bundles is what torch predicts, for full bundles and for applied deltas."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from services.updater.learning.batches import Batch
from services.updater.learning.learner import Learner
from shared.bundles.files import Catalogue, TableChange
from shared.bundles.manifest import Manifest, TableSize
from shared.keys import key
from shared.model.graph import GraphTemplate
from shared.model.scorer import Scorer
from shared.model.update import Contents, Update, whole
from tests.learning import INPUTS, batch, catalogue, learner, shown, task

LABELS = ("purchase", "cart")
F4 = NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """A list's features, as a request has them."""

    user: F4
    candidate: F4
    history: NDArray[np.uint64]
    history_weights: F4


def manifest(one: Learner, kind: str, parent: str | None, version: str) -> Manifest:
    model = one.task.model
    return Manifest(
        task="ranking", version=version, window=0, epoch=1, kind=kind, parent=parent, created=0.0, files={}, labels=one.task.labels,  # type: ignore[arg-type]
        inputs=INPUTS, dim=model.dim, hidden=model.hidden, text_dim=model.text_dim, frozen=(), trainable=(),
        tables={name: TableSize(rows.used, rows.capacity) for name, rows in one.tables.owners.items()},
        weights_sha256=one.weights_sha256(),
    )  # fmt: skip


def contents(one: Learner, changes: dict[str, TableChange], made: Manifest, catalogues: dict[str, Catalogue]) -> Contents:
    model = one.task.model
    graph = GraphTemplate(INPUTS, len(one.task.labels), model.dim, model.hidden, model.bins).fill(one.dense())
    dense = {name: weight.copy() for name, weight in one.dense().items()}
    return Contents(made, changes, dense, graph, catalogues)


def served(scorer: Scorer, offset: int) -> F4:
    impression = shown(offset).impression
    n = len(impression.items)
    asked = Asked(
        np.frombuffer(impression.user_features, np.float32),
        np.frombuffer(impression.candidate_features, np.float32).reshape(n, -1),
        np.frombuffer(impression.history, np.uint64),
        np.frombuffer(impression.history_weights, np.float32),
    )
    items = np.array([key(item) for item in impression.items], np.uint64)
    return scorer.score(asked, items, key(impression.user_id), impression.time)


def predicted(one: Learner, offset: int) -> F4:
    made: Batch = batch([shown(offset)], labels=LABELS)
    return one.predict(made)


@pytest.mark.parametrize("without", [(), ("user", "item")])
@pytest.mark.parametrize("offset", [3, 44, 400])  # learned, later, and at an hour that was never seen
def test_a_bundle_serves_what_the_learner_predicts(offset: int, without: tuple[str, ...]) -> None:
    one = learner(task(labels=LABELS, without=without))
    for number in range(2):
        one.learn(batch([shown(o) for o in range(20 * number, 20 * number + 20)], labels=LABELS), number)
    file = catalogue()
    known = {hashlib.sha256(b"one").hexdigest(): file}
    scorer = whole(contents(one, one.tables.full(), manifest(one, "full", None, "0-1"), known))
    assert served(scorer, offset) == pytest.approx(predicted(one, offset), abs=1e-6)

    one.tables.reset()
    one.learn(batch([shown(o) for o in range(40, 60)], labels=LABELS), 3)
    after = Update.prepare(scorer, contents(one, one.tables.delta(), manifest(one, "delta", "0-1", "1-1"), {})).apply()
    assert served(after, offset) == pytest.approx(predicted(one, offset), abs=1e-6)
    assert after.sha256() == one.weights_sha256()


def test_an_item_that_was_never_shown_is_served_with_its_text() -> None:
    one = learner(task(labels=LABELS))
    one.learn(batch([shown(0, items=2)], labels=LABELS), 1)
    scorer = whole(contents(one, one.tables.full(), manifest(one, "full", None, "0-1"), {"one": catalogue()}))
    unseen = [o for o in range(100, 120) if not set(shown(o).impression.items) & set(shown(0, items=2).impression.items)]
    for offset in unseen:
        assert served(scorer, offset) == pytest.approx(predicted(one, offset), abs=1e-6)
    assert len(unseen) > 3
