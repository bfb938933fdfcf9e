"""Examples as columns: order, labels, corrections, profiles, and what is refused."""

import msgspec
import numpy as np
import pytest

from services.updater.learning.batches import Batcher
from services.updater.learning.normaliser import Moments
from shared.keys import keys
from shared.messages import Example
from tests.learning import INPUTS, assortment, batch, bought, correction, shown


def test_rows_stand_in_the_order_of_the_plan() -> None:
    examples = [shown(4), shown(2, items=3), shown(9)]
    made = batch(examples)
    assert made.list.tolist() == [0] * 5 + [1] * 3 + [2] * 5
    assert made.keys["item"].tolist() == keys(item for example in examples for item in example.impression.items).tolist()
    assert made.labels[:, 0].tolist() == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]


def test_hour_and_weekday_are_those_of_the_impression_in_utc() -> None:
    made = batch([shown(0)])  # Friday 14 July 2017, 02:40
    assert made.keys["hour"].tolist() == keys(["2"] * 5).tolist()
    assert made.keys["weekday"].tolist() == keys(["4"] * 5).tolist()


def test_a_correction_in_the_window_of_its_list_becomes_part_of_it() -> None:
    example = shown(1)
    made = batch([example, correction(7, example, index=3)])
    assert made.labels[:, 0].tolist() == [0, 0, 0, 1, 0]
    assert not made.late.any()
    assert made.counted.all()


def test_a_correction_of_a_list_learned_before_revokes_the_negative() -> None:
    made = batch([correction(7, shown(1), index=3)], learned=True)
    assert (made.labels.item(), made.late.item(), made.counted.item()) == (1, 1, 1)
    assert made.keys["item"].tolist() == keys([shown(1).impression.items[3]]).tolist()


def test_a_correction_of_a_list_never_learned_is_a_plain_positive() -> None:
    made = batch([correction(7, shown(1), index=3)], learned=False)
    assert (made.labels.item(), made.late.item(), made.counted.item()) == (1, 0, 1)


def test_a_correction_says_nothing_of_the_other_heads() -> None:
    made = batch([correction(7, shown(1), 2, action="cart")], labels=("purchase", "cart"))
    assert made.counted.tolist() == [[0, 1]]
    assert made.late.tolist() == [[0, 1]]


def test_each_action_is_a_head_and_what_is_no_label_is_nothing() -> None:
    example = msgspec.structs.replace(shown(1), outcomes=(bought(1), bought(2, "cart"), bought(3, "view")))
    assert batch([example], labels=("purchase", "cart")).labels.tolist() == [[0, 0], [1, 0], [0, 1], [0, 0], [0, 0]]


def test_degraded_impressions_are_counted_and_not_learned() -> None:
    example = shown(1, degraded=True)
    made, refused = Batcher(INPUTS, ("purchase",), assortment()).batch([example, correction(7, example, 0)], lambda _: False)
    assert (len(made), refused.degraded, refused.examples) == (0, 2, [])


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"user_features": b"1234"}, "user_features"),
        ({"candidate_features": b""}, "candidate_features"),
        ({"history_weights": b"12"}, "history_weights"),
        ({"history": b"1234", "history_weights": b"12"}, "history"),
        ({"log_odds": b"1234"}, "log_odds"),
        ({"scores": b""}, "scores"),
    ],
)
def test_an_example_whose_parts_do_not_fit_is_refused_by_name_and_the_rest_is_learned(
    broken: dict[str, bytes], reason: str
) -> None:
    bad = msgspec.structs.replace(shown(1), impression=msgspec.structs.replace(shown(1).impression, **broken))
    made, refused = Batcher(INPUTS, ("purchase",), assortment()).batch([bad, shown(2)], lambda _: True)
    assert len(made) == 5
    [(example, error)] = refused.examples
    assert example is bad
    assert (error.code, reason in error.reason) == ("shapes", True)


def values(count: int, last: float) -> bytes:
    return np.array([0.5] * (count - 1) + [last], np.float32).tobytes()


@pytest.mark.parametrize(
    "broken",
    [
        {"scores": values(5, np.inf)},
        {"scores": values(5, np.nan)},
        {"log_odds": values(5, np.nan)},
        {"history_weights": values(3, np.nan)},
        {"user_features": values(2, np.inf)},
        {"candidate_features": values(15, -np.inf)},
        {"time": np.nan},
        {"time": np.inf},
    ],
    ids=lambda broken: next(iter(broken)),
)
def test_an_example_with_a_number_that_would_spoil_the_weights_is_refused(broken: dict[str, object]) -> None:
    bad = msgspec.structs.replace(shown(1), impression=msgspec.structs.replace(shown(1).impression, **broken))
    made, refused = Batcher(INPUTS, ("purchase",), assortment()).batch([bad, shown(2)], lambda _: True)
    assert len(made) == 5
    assert [(error.code, next(iter(broken)) in error.reason) for _, error in refused.examples] == [("values", True)]


def test_a_feature_may_be_unknown() -> None:
    unknown = msgspec.structs.replace(shown(1).impression, user_features=values(2, np.nan), candidate_features=values(15, np.nan))
    made = batch([msgspec.structs.replace(shown(1), impression=unknown)])
    assert np.isnan(made.user_features).sum() == np.isnan(made.candidate_features).sum() == 1


def test_a_value_that_is_not_finite_leaves_the_moments_alone() -> None:
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(30, 2)).astype(np.float32)
    spoiled = np.insert(values, [3, 9, 20], np.array([[np.inf], [-np.inf], [np.nan]]), axis=0)
    moments = Moments.of(2), Moments.of(2)
    for one, seen in zip(moments, (values, spoiled), strict=True):
        one.update(slice(0, 2), seen)
    for plain, kept in zip(*(one.state().values() for one in moments), strict=True):
        assert kept == pytest.approx(plain)


def test_an_outcome_outside_the_list_is_refused() -> None:
    bad = msgspec.structs.replace(shown(1), outcomes=(bought(5),))
    _, refused = Batcher(INPUTS, ("purchase",), assortment()).batch([bad], lambda _: True)
    assert refused.examples[0][1].code == "shapes"


def test_a_profile_is_the_unit_mean_of_the_historys_texts() -> None:
    known = assortment()
    example = shown(1)
    made = batch([example])
    history = np.frombuffer(example.impression.history, np.uint64)
    mean = known.vectors(known.describe(history)[2]).sum(0)
    assert made.histories.profiles[made.history[0]] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)


def test_lists_of_one_history_share_a_profile_and_no_history_is_zeros() -> None:
    bare = msgspec.structs.replace(
        shown(2), impression=msgspec.structs.replace(shown(2).impression, history=b"", history_weights=b"")
    )
    made = batch([shown(1), bare, msgspec.structs.replace(shown(1), origin=shown(3).origin)])
    assert made.history.tolist() == [0, 1, 0]
    assert not made.histories.profiles[1].any()
    assert not made.histories.shares[1].any()


def test_an_item_that_no_catalogue_names_has_neither_text_nor_category() -> None:
    example = msgspec.structs.replace(shown(1), impression=msgspec.structs.replace(shown(1).impression, items=tuple("abcde")))
    made = batch([example])
    assert not made.text.any()
    assert not made.keys["category"].any()


def test_no_examples_make_an_empty_batch() -> None:
    made = batch(list[Example]())
    assert len(made) == 0
    assert made.labels.shape == (0, 1)
    assert made.candidate_features.shape == (0, 3)
