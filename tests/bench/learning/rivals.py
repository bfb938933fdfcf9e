"""Vowpal Wabbit, River and LightGBM on the same rows, features and moments."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.batches import Batch
from services.updater.learning.catalogue import Assortment
from services.updater.learning.cuts import cut
from services.updater.learning.steps import spans
from shared.bundles.files import TABLES
from shared.messages import Inputs
from tests.bench.learning.protocol import F8, I8, Known, Stream, TrainedAnew

BINS = 8
"""Quantile bins of a dense input, as tokens; the quantiles are history's."""
TOGETHER = 20_000
"""Rows that are turned into tokens at once: those of a whole history would not fit."""
TEXT_PARTS = 8
"""Principal components of the text that LightGBM sees."""
CODED = ("category", "hour", "weekday")
"""Ids that LightGBM sees as categories. Users, items and brands are too many, and their counters say more: told the brands too it
made .8810 / .2066 on complete_journey_sample, trained once, and .8802 / .2062 without (AUC / log loss, means of three seeds)."""


@dataclass(frozen=True)
class Seen:
    """What rivals need to know of a set beside its rows.

    Args:
        inputs: names of the dense inputs.
        assortment: the items' text vectors.
        words: of each item's title, by the item's key.
    """

    inputs: Inputs
    assortment: Assortment
    words: Mapping[int, tuple[str, ...]]

    def dense(self, batch: Batch) -> NDArray[np.float32]:
        """Every dense input and the cosine of text and profile, (n, U + C + 1)."""
        columns = [batch.user_features[batch.list], batch.candidate_features, self._cosine(batch)[:, None]]
        return np.concatenate(columns, axis=1)

    def _cosine(self, batch: Batch) -> NDArray[np.float32]:
        found = [
            np.einsum(
                "nt,nt->n", self.assortment.vectors(batch.text[span]), batch.histories.profiles[batch.history[batch.list[span]]]
            )
            for span in (slice(start, start + 8_192) for start in range(0, len(batch), 8_192))
        ]
        return np.concatenate([*found, np.zeros(0, np.float32)])


def words(title: str) -> tuple[str, ...]:
    """A title's words."""
    return tuple(re.findall(r"[a-z0-9]+", title.lower()))


class Tokens:
    """Rows as tokens by namespace: ids, title words, and each dense input's quantile bin."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.edges: list[NDArray[np.float32]] = []

    def measure(self, batch: Batch) -> None:
        """Take the quantiles of these rows."""
        cuts = np.linspace(0, 1, BINS + 1)[1:-1]
        self.edges = [np.unique(np.nanquantile(column, cuts)) for column in self.seen.dense(batch).T]

    def of(self, batch: Batch) -> Iterator[dict[str, list[str]]]:
        """Each row's tokens."""
        kept = [i for i, edges in enumerate(self.edges) if len(edges) > 1]
        names = [[f"d{i}_{value}" for value in range(BINS + 1)] for i in range(len(kept))]
        dense = self.seen.dense(batch)
        for span in spans(len(batch), TOGETHER):
            bins = np.stack([np.searchsorted(self.edges[i], dense[span, i]) for i in kept], axis=1).tolist()
            ids = [[f"{name[0]}{key:x}" for key in batch.keys[name][span].tolist()] for name in TABLES]
            for row, item in enumerate(batch.keys["item"][span].tolist()):
                user, thing, *rest = (column[row] for column in ids)
                yield {
                    "u": [user], "i": [thing], "c": rest, "w": list(self.seen.words.get(item, ())),
                    "d": [names[i][value] for i, value in enumerate(bins[row])],
                }  # fmt: skip


class Vowpal:
    """Vowpal Wabbit, one event at a time; the sampling's log-odds are its examples' base.

    Args:
        seen: of the set.
        arguments: of the command line.
    """

    def __init__(self, seen: Seen, arguments: str) -> None:
        from vowpalwabbit import Workspace

        self.tokens, self.waiting = Tokens(seen), dict[int, list[str]]()
        self.workspace: Any = Workspace(f"--loss_function logistic --link logistic -b 22 --quiet {arguments}")

    def begin(self, stream: Stream, lists: I8) -> None:
        """One pass over history."""
        batch = cut(stream.batch, lists)
        self.tokens.measure(batch)
        for line, label in zip(self._lines(batch), batch.labels[:, 0].tolist(), strict=True):
            self.workspace.learn(_labelled(line, label))

    def predict(self, rows: Batch) -> F8:
        """Probabilities (n,)."""
        lines = list(self._lines(rows))
        for line, number in zip(lines, rows.list.tolist(), strict=True):
            self.waiting.setdefault(rows.origins[number].offset, []).append(line)
        return np.array([self.workspace.predict(f"1 1 {line}") for line in lines])

    def learn(self, known: Known) -> None:
        """One pass over the lists whose label became known."""
        batch = cut(known.stream.batch, known.settled)
        labels = np.split(batch.labels[:, 0], np.searchsorted(batch.list, np.arange(1, len(batch.kinds))))
        for number, found in zip(known.settled.tolist(), labels, strict=False):
            for line, label in zip(self.waiting.pop(number), found.tolist(), strict=True):
                self.workspace.learn(_labelled(line, label))

    def _lines(self, batch: Batch) -> Iterator[str]:
        for base, row in zip(batch.log_odds.tolist(), self.tokens.of(batch), strict=True):
            yield f"{base:.4f} " + " ".join(f"|{name} {' '.join(tokens)}" for name, tokens in row.items())


def _labelled(line: str, label: float) -> str:
    """Label, importance, base, tokens."""
    return f"{1 if label > 0 else -1} 1 {line}"


class River:
    """A model of River, one event at a time.

    Args:
        seen: of the set.
        make: the model.
        spaces: namespaces of tokens that it sees.
    """

    def __init__(self, seen: Seen, make: Callable[[], Any], spaces: str) -> None:
        self.tokens, self.model, self.spaces = Tokens(seen), make(), spaces

    def begin(self, stream: Stream, lists: I8) -> None:
        """One pass over history."""
        batch = cut(stream.batch, lists)
        self.tokens.measure(batch)
        self._learn(batch)

    def predict(self, rows: Batch) -> F8:
        """Probabilities (n,)."""
        return np.array([self.model.predict_proba_one(row).get(True, 0.5) for row in self._rows(rows)])

    def learn(self, known: Known) -> None:
        """One pass over the lists whose label became known."""
        self._learn(cut(known.stream.batch, known.settled))

    def _learn(self, batch: Batch) -> None:
        for row, label in zip(self._rows(batch), batch.labels[:, 0].tolist(), strict=True):
            self.model.learn_one(row, label > 0)

    def _rows(self, batch: Batch) -> Iterator[dict[str, float]]:
        for base, row in zip(batch.log_odds.tolist(), self.tokens.of(batch), strict=True):
            yield {token: 1.0 for space in self.spaces for token in row[space]} | {"log_odds": base}


class Boosted(TrainedAnew):
    """LightGBM on the dense inputs, the cosine and the text's principal components, trained anew once in so many seconds.

    Args:
        seen: of the set.
        settings: of LightGBM.
        rounds: trees.
        period: seconds; infinite for a model that is never trained again.
        seed: of its draws.
    """

    def __init__(self, seen: Seen, settings: Mapping[str, Any], rounds: int, period: float, seed: int = 7) -> None:
        self.seen, self.rounds, self.period = seen, rounds, period
        self.settings = {"objective": "binary", "num_threads": 1, "verbose": -1, "seed": seed} | dict(settings)
        self.codes: dict[int, int] = {}
        vectors = seen.assortment.vectors(np.arange(seen.assortment.texts))
        axes = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)[2][:TEXT_PARTS] if vectors.any() else vectors[:0]
        self.texts = vectors @ axes.T
        self.booster: Any = None

    def begin(self, stream: Stream, lists: I8) -> None:
        """Train on these lists."""
        import lightgbm

        batch = cut(stream.batch, lists)
        coded, base = [*range(len(CODED))], batch.log_odds.astype(np.float64)
        data = lightgbm.Dataset(self._matrix(batch), batch.labels[:, 0], init_score=base, categorical_feature=coded)
        self.booster = lightgbm.train(self.settings, data, num_boost_round=self.rounds)

    def predict(self, rows: Batch) -> F8:
        """Probabilities (n,)."""
        raw: F8 = self.booster.predict(self._matrix(rows), raw_score=True, num_threads=1)
        return 1 / (1 + np.exp(-(raw + rows.log_odds)))

    def _matrix(self, batch: Batch) -> NDArray[np.float32]:
        """(n, features): :data:`CODED` as codes, then numbers."""
        codes = [
            np.array([self.codes.setdefault(key, len(self.codes)) for key in batch.keys[name].tolist()], np.float32)
            for name in CODED
        ]
        return np.concatenate([np.stack(codes, axis=1), self.seen.dense(batch), self.texts[batch.text]], axis=1)
