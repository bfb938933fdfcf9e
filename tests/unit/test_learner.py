"""The learner: what moves, by how much, and that it repeats itself bit for bit."""

import copy

import msgspec
import numpy as np
import pytest
import torch

from services.updater.learning.catalogue import build
from services.updater.learning.histories import Histories
from shared.errors import BadSettings
from shared.keys import keys
from shared.messages import Inputs, Item, Origin
from tests.learning import EPOCH, INPUTS, START, assortment, batch, learner, same, shown, task, window


def test_the_same_windows_make_the_same_weights_bit_for_bit() -> None:
    one, other = learner(), learner()
    for number in range(3):
        one.learn(window(20 * number), number)
        torch.rand(number + 1)  # somebody else's randomness changes nothing
        other.learn(window(20 * number), number)
    assert same(one.state(), other.state())
    assert one.weights_sha256() == other.weights_sha256()


def test_another_window_number_drops_other_units() -> None:
    one, other = learner(), learner()
    one.learn(window(0), 1)
    other.learn(window(0), 2)
    assert one.weights_sha256() != other.weights_sha256()


def test_going_on_from_a_checkpoint_equals_never_having_stopped() -> None:
    whole = learner(task(decay_rows=50, admission={"user": 2}))
    whole.learn(window(0), 1)
    resumed = learner(task(decay_rows=50, admission={"user": 2}))
    resumed.load(copy.deepcopy(whole.state()))
    for one in (whole, resumed):
        one.learn(window(20), 2)
        one.learn(window(40), 3)
    assert same(whole.state(), resumed.state())


def test_learning_lowers_the_loss_on_what_was_learned() -> None:
    one = learner(task(dropout=0.0))
    learned = window(0, 60)

    def loss() -> float:
        p = one.predict(learned)
        return float(-np.mean(np.where(learned.labels > 0, np.log(p), np.log1p(-p))))

    before = loss()
    for number in range(5):
        one.learn(learned, number)
    assert loss() < before - 0.05


def test_predicting_moves_nothing() -> None:
    one = learner()
    one.learn(window(0), 1)
    before = one.state()
    one.predict(window(100))
    assert same(before, one.state())


def test_a_batch_is_not_changed_by_learning_from_it() -> None:
    learned = window(0)
    before = copy.deepcopy(learned)
    learner().learn(learned, 1)
    for name in ("user_features", "candidate_features", "log_odds", "labels", "late", "counted", "text", "time"):
        assert np.array_equal(getattr(before, name), getattr(learned, name))
    for name in Histories.__slots__:
        assert np.array_equal(getattr(before.histories, name), getattr(learned.histories, name))
    assert all(np.array_equal(before.keys[name], learned.keys[name]) for name in before.keys)


@pytest.mark.parametrize("part", ["text_projection", "layers", "heads", "bias", "user", "item", "hour", "normaliser"])
def test_a_frozen_part_does_not_move_and_the_rest_does(part: str) -> None:
    one = learner()
    one.learn(window(0, 60), 1)
    one.freeze((part,))
    dense = {name: weight.copy() for name, weight in one.dense().items()}
    tables = {name: values.copy() for name, (_, values) in one.tables.weights().items()}
    everything = {*dense, *tables}
    one.tables.reset()
    one.learn(window(20, 30), 2)
    moved = {name for name, weight in one.dense().items() if not np.array_equal(weight, dense[name])}
    moved |= {
        name for name, (_, values) in one.tables.weights().items() if not np.array_equal(values[: len(tables[name])], tables[name])
    }
    still = {"mean", "scale"} if part == "normaliser" else {n for n in everything if n.split(".")[0] in (part, f"{part}_bias")}
    assert still
    assert moved == everything - still - {"knots"}
    assert set(one.trainable()) == moved


def test_a_table_that_the_model_goes_without_says_nothing_and_never_moves() -> None:
    left_out = ("user", "item")
    one, other = learner(task(without=left_out)), learner()
    for each in (one, other):
        each.learn(window(0, 60), 1)
        assert each.predict(window(60, 5)).std() > 0
    weights = {name: values for name, (_, values) in one.tables.weights().items()}
    assert {name for name, values in weights.items() if not values.any()} == set(left_out)
    assert all(len(values) > 1 for values in weights.values())
    assert {*other.trainable()} - {*one.trainable()} == {*left_out, "pooling"}
    assert one.tables.attributes.any(), "an item keeps its category, brand and text"


def test_only_an_id_table_can_be_left_out() -> None:
    with pytest.raises(BadSettings, match="goes without 'text', which is no id table"):
        task(without=("text",))


def test_the_catalogues_items_get_rows_that_start_as_their_texts_projection() -> None:
    one = learner()
    one.learn(window(0, 1), 1)
    rows = one.tables.owners["item"].find(keys(f"i{i}" for i in range(30)))
    assert (rows > 0).all()
    shown_rows = one.tables.owners["item"].find(window(0, 1).keys["item"])
    unseen = np.setdiff1d(rows, shown_rows)
    assert len(unseen) == 25
    assert not one.tables.values[unseen + one.tables.offset["item"]].any()  # the id's own part is zero: the text alone speaks
    change = one.tables.delta()["item"]
    assert set(rows.tolist()) <= set(change.new_rows.tolist())
    told = dict(zip(change.new_rows.tolist(), change.attributes.tolist(), strict=True))
    assert all(told[int(row)][2] == i // 2 + 1 for i, row in enumerate(rows))


def test_items_that_join_later_are_told_with_the_next_window_even_where_it_is_empty() -> None:
    one = learner()
    one.learn(window(0), 1)
    one.tables.reset()
    fresh = Item(item_id="fresh", time=EPOCH, category="c9", brand="b0")
    one.assortment.add(build([fresh], {}, 8))
    one.learn(batch([]), 2)
    change = one.tables.delta()
    assert change["item"].new_keys.tolist() == keys(["fresh"]).tolist()
    assert change["category"].new_keys.tolist() == keys(["c9"]).tolist()
    assert change["item"].attributes[0].tolist() == [
        int(change["category"].new_rows[0]),
        int(one.tables.owners["brand"].find(keys(["b0"]))[0]),
        0,
    ]


def test_a_catalogue_larger_than_the_table_pushes_nobody_out() -> None:
    one = learner()
    one.learn(window(0), 1)
    before = one.tables.owners["item"].keys.copy()
    many = [Item(item_id=f"more {i}", time=EPOCH) for i in range(100)]
    one.assortment.add(build(many, {}, 8))
    one.learn(window(20), 2)
    assert np.array_equal(one.tables.owners["item"].keys[before > 0], before[before > 0])
    assert one.tables.owners["item"].room() == 0


def test_two_items_of_one_text_score_alike_before_they_are_learned() -> None:
    first = shown(0, items=2)
    twins = [
        msgspec.structs.replace(
            first,
            origin=Origin("impressions", 0, n),
            impression=msgspec.structs.replace(first.impression, items=(f"i{6 + n}", "i9")),
        )
        for n in range(2)
    ]
    scores = learner().predict(batch(twins))  # i6 and i7 share a text
    assert scores[0, 0] == scores[2, 0] != scores[1, 0]


def test_only_touched_rows_are_in_the_delta_and_applying_it_gives_the_full_table() -> None:
    one = learner()
    one.learn(window(0), 1)
    before = one.tables.full()
    one.tables.reset()
    one.learn(window(20, 2), 2)
    delta, after = one.tables.delta(), one.tables.full()
    assert len(delta["item"].rows) < len(after["item"].rows)
    for name, change in after.items():
        values, owners = np.zeros((len(change.rows) + 1, 5), np.float32), np.zeros(len(change.rows) + 1, np.uint64)
        values[before[name].rows], owners[before[name].new_rows] = before[name].values, before[name].new_keys
        if name in delta:
            values[delta[name].rows], owners[delta[name].new_rows] = delta[name].values, delta[name].new_keys
        assert np.array_equal(values[1:], change.values)
        assert np.array_equal(owners[1:], change.new_keys)


def test_a_feature_that_emerges_starts_at_weight_zero_and_one_that_vanishes_is_dropped() -> None:
    one = learner()
    one.learn(window(0), 1)
    after = Inputs(user=("bought_7d",), candidate=("price", "new", "sold_1d", "context.display"))
    other = learner(inputs=after)
    other.load(one.state())
    first, second = one.dense()["layers.0.weight"], other.dense()["layers.0.weight"]
    assert np.array_equal(second[:, 28], first[:, 29])  # bought_7d
    assert np.array_equal(second[:, [29, 31, 32, 33]], first[:, [31, 30, 32, 33]])  # price, sold_1d, display, cosine
    assert not second[:, 30].any()
    other.learn(batch([shown(0, inputs=after)], inputs=after), 2)


def test_features_are_matched_by_name_and_a_missing_one_is_unknown() -> None:
    turned = Inputs(user=("bought_7d", "bought_1d"), candidate=("extra", "price", "sold_1d"))
    made = batch([shown(3, inputs=turned)])
    own = np.frombuffer(shown(3, inputs=turned).impression.user_features, np.float32)
    assert made.user_features[0].tolist() == own[::-1].tolist()
    assert np.isnan(made.candidate_features[:, 2]).all()  # context.display
    assert not np.isnan(made.candidate_features[:, :2]).any()


def test_ids_expire_by_event_time() -> None:
    one = learner(task(expiry=86_400.0))
    one.learn(window(0), 1)
    seen = one.tables.owners["user"].keys.copy()
    later = msgspec.structs.replace(shown(1).impression, user_id="new", time=START + 3 * 86_400)
    one.learn(batch([msgspec.structs.replace(shown(1), impression=later)]), 2)
    assert not np.isin(seen[seen > 0], one.tables.owners["user"].keys).any()


def test_inputs_of_the_module_are_those_of_the_contract() -> None:
    from shared.bundles.files import dense_shapes

    one = learner()
    shapes = dense_shapes(INPUTS, 1, 4, (8, 4), 8, one.task.model.bins)
    assert {name: weight.shape for name, weight in one.dense().items()} == shapes
    assert assortment().texts == 16
