"""Retrieval is exact in the model's own terms, and an explanation is what the score loses without a group."""

import dataclasses

import msgspec
import numpy as np
import pytest

from services.ranking.retrieve import nearest
from shared.bundles.manifest import Curve, Manifest
from shared.bundles.objects import MemoryObjects
from shared.bundles.reader import BundleReader
from shared.bundles.storage import Storage
from shared.keys import key, keys
from shared.model.explain import GROUPS, contributions
from shared.model.scorer import Scorer
from tests.bundles import INPUTS, Publisher, a_key, a_model
from tests.contracts.test_scorer import TIME, some_features

ITEMS = [f"i{n}" for n in range(60)]


def scorer(without_layers: bool = False) -> Scorer:
    model = a_model()
    if without_layers:
        model.dense["heads.weight"][:] = model.dense["bins_linear"][:] = 0
    publisher = Publisher(Storage(MemoryObjects(), "ranking"), a_key(), model)
    publisher.full()
    return BundleReader(publisher.storage, a_key().public_key()).load(publisher.pointer())


def test_the_nearest_items_are_those_of_the_highest_scores_without_the_layers() -> None:
    model = scorer(without_layers=True)
    features = some_features(60, INPUTS)
    scores = model.score(features, keys(ITEMS), key("u1"), TIME)[:, 0]
    profile = model.profile(features)
    near = nearest(model, model.user_side(features, key("u1"), TIME, profile)[0], profile.text, 10)
    assert near == [ITEMS[n] for n in np.argsort(-scores)[:10]]
    assert len(nearest(model, model.user_side(features, key("u1"), TIME, profile)[0], profile.text, 500)) == 60


def explained(**changes: object) -> dict[str, np.ndarray]:
    model = scorer()
    features = some_features(60, INPUTS)
    for name, value in changes.items():
        setattr(features, name, value)
    return contributions(model, features, model.tables["item"].find(keys(ITEMS)), key("u1"), TIME)


def test_every_group_says_something() -> None:
    added = explained()
    assert set(added) == set(GROUPS)
    for group, values in added.items():
        assert values.shape == (60,), group
        assert np.abs(values).max() > 1e-3, group


def test_a_group_at_its_mean_adds_nothing() -> None:
    model = scorer()
    mean = model.dense.candidate.mean
    usual = np.sign(mean) * np.expm1(np.abs(mean))
    added = explained(candidate=np.tile(usual.astype(np.float32), (60, 1)))
    for group in ("item_counters", "pair", "context"):
        assert added[group] == pytest.approx(0, abs=1e-5)
    assert np.abs(added["user"]).max() > 1e-3


def test_an_explanation_is_the_difference_of_two_logits() -> None:
    model, features = scorer(), some_features(60, INPUTS)
    rows = model.tables["item"].find(keys(ITEMS))
    added = contributions(model, features, rows, key("u1"), TIME)["user"]

    def logit(user: int) -> np.ndarray:
        score = model.score(features, keys(ITEMS), user, TIME)[:, 0].astype(np.float64)
        return np.log(score) - np.log1p(-score)

    assert added == pytest.approx(logit(key("u1")) - logit(key("nobody")), abs=1e-3)


def test_a_calibrated_score_is_its_users_curve_of_the_logit_and_the_order_and_the_reasons_stay() -> None:
    plain, features = scorer(), some_features(60, INPUTS)
    curves = {"known": Curve((-2.0, 0.0), (-1.0, 0.5)), "new": Curve((-2.0, 0.0), (-3.0, -0.5))}
    calibrated = dataclasses.replace(plain, manifest=msgspec.structs.replace(plain.manifest, calibrator=curves))
    rows = plain.tables["item"].find(keys(ITEMS))
    for user, segment in (("u1", "known"), ("nobody", "new")):
        before, after = (model.score_rows(features, rows, key(user), TIME) for model in (plain, calibrated))
        logits = np.log(before[:, 0] / (1 - before[:, 0].astype(np.float64)))
        assert after[:, 0] == pytest.approx(1 / (1 + np.exp(-curves[segment](logits))), abs=1e-5)
        assert after[:, 1:] == pytest.approx(before[:, 1:], abs=1e-6)
        assert np.array_equal(np.argsort(-before[:, 0], kind="stable"), np.argsort(-after[:, 0], kind="stable"))
        whys = [contributions(model, features, rows, key(user), TIME) for model in (plain, calibrated)]
        assert all(np.array_equal(whys[0][group], whys[1][group]) for group in GROUPS)


def test_a_manifest_from_before_there_was_a_calibrator_loads_and_serves_as_it_is() -> None:
    manifest = scorer().manifest
    fields = msgspec.json.decode(msgspec.json.encode(manifest))
    del fields["calibrator"]
    assert msgspec.json.decode(msgspec.json.encode(fields), type=Manifest) == manifest
    assert manifest.calibrator == {}
