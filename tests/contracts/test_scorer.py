"""What is served is the formula of ``shared/model/README.md``, and applied deltas are the full bundle."""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.bundles.files import TABLES
from shared.bundles.objects import MemoryObjects
from shared.bundles.reader import BundleReader, steps
from shared.bundles.storage import Storage
from shared.keys import key, keys
from shared.messages import Inputs
from shared.model.moment import HOURS, WEEKDAYS, moment_keys
from shared.model.scorer import Scorer
from shared.model.update import Update
from shared.tasks import ModelSettings
from tests.bundles import SMALL, Model, Publisher, a_key, a_model

TIME = datetime(2017, 5, 3, 17, 42, tzinfo=UTC).timestamp()  # a Wednesday


@dataclass
class Seen:
    """Features as a request has them."""

    user: NDArray[np.float32]
    candidate: NDArray[np.float32]
    history: NDArray[np.uint64]
    history_weights: NDArray[np.float32]


def some_features(n: int, inputs: Inputs, seed: int = 3, history: tuple[str, ...] = ("i1", "i2", "i59", "gone")) -> Seen:
    random = np.random.default_rng(seed)
    user = random.normal(0, 20, len(inputs.user)).astype(np.float32)
    candidate = random.normal(0, 20, (n, len(inputs.candidate))).astype(np.float32)
    candidate[0, 0] = np.nan
    weights = np.arange(1, len(history) + 1, dtype=np.float32)
    return Seen(user, candidate, keys(history), weights)


def reference(model: Model, features: Seen, item: str, column: int, user: str, time: float, log_odds: float) -> NDArray[np.float64]:
    """The formula, for one candidate, one term at a time in float64. (L,)."""
    weights = {name: value.astype(np.float64) for name, value in model.dense.items()}
    texts = np.concatenate([np.zeros((1, model.settings.text_dim)), *(one.vectors.astype(np.float64) for one in model.catalogues)])

    def row(table: str, identifier: str) -> int:
        found = np.flatnonzero(model.keys[table] == np.uint64(key(identifier)))
        return int(found[0]) if len(found) else 0

    def values(table: str, number: int) -> NDArray[np.float64]:
        return model.values[table][number].astype(np.float64)

    def text(identifier: str) -> NDArray[np.float64]:
        return texts[model.attributes[row("item", identifier), 2]]

    profile = np.zeros(model.settings.text_dim)
    by_key = {key(one): one for one in [f"i{n}" for n in range(60)]}
    for one, weight in zip(features.history.tolist(), features.history_weights.tolist(), strict=True):
        profile += weight * text(by_key.get(one, "nothing"))
    if profile.any():
        profile /= np.linalg.norm(profile)
    pooled = sum(
        np.sqrt(weight / features.history_weights.sum()) * values("item", row("item", by_key.get(one, "nothing")))[:-1]
        for one, weight in zip(features.history.tolist(), features.history_weights.astype(np.float64).tolist(), strict=True)
    )

    moment = datetime.fromtimestamp(time, UTC)
    number = row("item", item)
    category, brand, _ = model.attributes[number]
    rows = {
        "user": values("user", row("user", user)),
        "hour": values("hour", row("hour", str(moment.hour))),
        "weekday": values("weekday", row("weekday", str(moment.weekday()))),
        "item": values("item", number),
        "category": values("category", category),
        "brand": values("brand", brand),
    }
    fields = {name: one[:-1] for name, one in rows.items()}
    fields["item"] = fields["item"] + weights["text_projection"] @ text(item) + weights["text_projection_bias"]
    fields["profile"] = weights["profile_projection"] @ profile + weights["profile_projection_bias"]
    if "pooling" in weights:
        fields["profile"] = fields["profile"] + weights["pooling"] @ (np.zeros(model.settings.dim) + pooled)
    vectors = np.stack([fields[name] for name in ("user", "hour", "weekday", "profile", "item", "category", "brand")])

    raw = np.concatenate([features.user, features.candidate[column]]).astype(np.float64)
    dense = np.clip((np.sign(raw) * np.log1p(np.abs(raw)) - weights["mean"]) * weights["scale"], -5, 5)
    dense[np.isnan(dense)] = 0
    cosine = text(item) @ profile

    bins = np.zeros(0)
    if "knots" in weights:
        knots = (weights["knots"] - weights["mean"][:, None]) * weights["scale"][:, None]
        bins = np.concatenate([np.clip((x - mine[:-1]) / np.diff(mine), 0, 1) for x, mine in zip(dense, knots, strict=True)])

    hidden = np.concatenate([vectors.ravel(), dense, [cosine], weights["bins_projection"] @ bins if len(bins) else bins])
    for layer in range(len(model.settings.hidden)):
        hidden = np.maximum(weights[f"layers.{layer}.weight"] @ hidden + weights[f"layers.{layer}.bias"], 0)
    pairs = sum(vectors[i] @ vectors[j] for i in range(7) for j in range(i))
    linear = sum(one[-1] for one in rows.values()) + weights["text_linear"] @ text(item)
    linear += weights["cosine_weight"][0] * cosine + weights["bias"][0] + log_odds
    if len(bins):
        linear += weights["bins_linear"] @ bins
    return 1 / (1 + np.exp(-(linear + pairs + weights["heads.weight"] @ hidden + weights["heads.bias"])))


def a_publisher(model: Model | None = None) -> Publisher:
    return Publisher(Storage(MemoryObjects(), "ranking"), a_key(), model or a_model())


def loaded(publisher: Publisher) -> Scorer:
    return BundleReader(publisher.storage, a_key().public_key()).load(publisher.pointer())


def followed(scorer: Scorer, publisher: Publisher) -> Scorer:
    reader = BundleReader(publisher.storage, a_key().public_key())
    for version in steps(scorer.manifest.version, publisher.pointer()):
        scorer = Update.prepare(scorer, reader.fetch(version)).apply()
    return scorer


def test_the_hour_and_the_weekday_are_utc() -> None:
    hours, weekdays = moment_keys(np.array([TIME, 0.0]))
    assert hours.tolist() == HOURS[[17, 0]].tolist()
    assert weekdays.tolist() == WEEKDAYS[[2, 3]].tolist()


FULL_SIZE = ModelSettings(capacity=dict.fromkeys(TABLES, 512))
MANY = Inputs(tuple(f"user.{n}" for n in range(30)), tuple(f"item.{n}" for n in range(40)))


@pytest.mark.parametrize(("settings", "inputs", "labels"), [(None, None, 1), (None, None, 3), (FULL_SIZE, MANY, 2)])
def test_scores_equal_the_formula(settings: ModelSettings | None, inputs: Inputs | None, labels: int) -> None:
    model = a_model(labels=labels, **({"settings": settings, "inputs": inputs} if settings and inputs else {}))
    publisher = a_publisher(model)
    publisher.full()
    publisher.delta(new_items=2)
    items, scorer = ["i0", "i7", "i59", "never seen", "new1-0"], loaded(publisher)
    for user, history in (("u3", ("i1", "i2", "gone")), ("nobody", ())):
        features = some_features(len(items), model.inputs, history=history)
        log_odds = np.linspace(-1, 1, len(items), dtype=np.float32)
        scores = scorer.score(features, keys(items), key(user), TIME, log_odds)
        expected = [reference(model, features, item, n, user, TIME, float(log_odds[n])) for n, item in enumerate(items)]
        assert scores.shape == (len(items), labels)
        np.testing.assert_allclose(scores, np.array(expected), atol=1e-5, rtol=0)


def test_a_bundle_of_before_pooling_and_bins_is_served_by_the_formula_without_them() -> None:
    model = a_model(settings=msgspec.structs.replace(SMALL, bins=0))
    del model.dense["pooling"]
    assert "knots" not in model.dense
    publisher = a_publisher(model)
    publisher.full()
    features = some_features(1, model.inputs)
    expected = reference(model, features, "i7", 0, "u3", TIME, 0.0)
    assert loaded(publisher).score(features, keys(["i7"]), key("u3"), TIME)[0] == pytest.approx(expected, abs=1e-5)


def test_applied_deltas_are_the_full_bundle_bit_for_bit() -> None:
    publisher = a_publisher()
    publisher.full()
    scorer = loaded(publisher)
    for number in range(12):
        publisher.delta(dense=number % 3 == 0, new_items=number % 2)
        scorer = followed(scorer, publisher)
    assert scorer.sha256() == publisher.model.sha256()
    publisher.full()
    fresh = loaded(publisher)
    for name in TABLES:
        np.testing.assert_array_equal(scorer.tables[name].values, fresh.tables[name].values)
        np.testing.assert_array_equal(scorer.tables[name].keys, fresh.tables[name].keys)
    for name, weight in fresh.dense.weights.items():
        np.testing.assert_array_equal(scorer.dense.weights[name], weight)
    np.testing.assert_array_equal(scorer.sides.attributes, fresh.sides.attributes)
    np.testing.assert_array_equal(scorer.texts.vectors, fresh.texts.vectors)
    assert scorer.texts.ids == fresh.texts.ids


def test_sides_that_deltas_refreshed_score_as_sides_built_anew() -> None:
    publisher = a_publisher()
    publisher.full()
    scorer = loaded(publisher)
    for number in range(6):
        publisher.delta(dense=number == 2, new_items=number % 2)
        scorer = followed(scorer, publisher)
    items = keys([f"i{n}" for n in range(60)] + ["new2-0", "new4-0"])
    features = some_features(len(items), publisher.model.inputs)
    for user in ("u1", "u2"):
        now = scorer.score(features, items, key(user), TIME)
        anew = loaded(publisher).score(features, items, key(user), TIME)
        np.testing.assert_allclose(now, anew, atol=1e-6, rtol=0)


def test_preparing_an_update_changes_nothing_that_is_served() -> None:
    publisher = a_publisher()
    publisher.full()
    scorer = loaded(publisher)
    features, items = some_features(3, publisher.model.inputs), keys(["i1", "i2", "i3"])
    before = scorer.score(features, items, key("u1"), TIME)
    publisher.delta(rows=50)
    update = Update.prepare(scorer, BundleReader(publisher.storage, a_key().public_key()).fetch(publisher.deltas[-1]))
    np.testing.assert_array_equal(scorer.score(features, items, key("u1"), TIME), before)
    after = update.apply().score(features, items, key("u1"), TIME)
    assert np.abs(after - before).max() > 1e-3


def test_serving_needs_neither_torch_nor_feast_nor_onnx() -> None:
    import subprocess
    import sys

    code = "import sys, shared.bundles.reader, shared.model.update; sys.exit(bool({'torch', 'feast', 'onnx'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
