"""Freshness against cases that are worked out by hand."""

import math

import numpy as np
import pytest

from infra.local.report.freshness import Freshness, first_answers, first_seen, quantile
from infra.local.report.freshness import freshness as from_answers
from infra.local.report.ledger import base_of
from services.shopper.log import Accepted, Asked
from shared.bundles.manifest import Manifest
from shared.messages import Inputs

BASE, ONE, TWO, THREE = "00000000-0001", "00000001-0001", "00000002-0001", "00000003-0002"


def a_manifest(
    version: str,
    parent: str | None,
    outcomes: dict[str, tuple[int, ...]] | None = None,
    corrections: dict[str, tuple[int, ...]] | None = None,
) -> Manifest:
    return Manifest(
        task="ranking", version=version, window=int(version[:8]), epoch=int(version[9:]), kind="delta" if parent else "full",
        parent=parent, created=0.0, files={}, labels=("purchase",), inputs=Inputs(), dim=4, hidden=(4,), text_dim=8, tables={},
        frozen=(), trainable=(), outcomes=outcomes or {}, corrections=corrections or {},
    )  # fmt: skip


def chain(*manifests: Manifest) -> dict[str, Manifest]:
    return {manifest.version: manifest for manifest in manifests}


def an_answer(bundle: str, finished: float, status: str = "ok") -> Asked:
    return Asked(
        play="p", user_id="u", time=0.0, scheduled_wall=finished - 0.1, sent_wall=finished - 0.1, finished_wall=finished,
        status=status, bundle=bundle,
    )  # fmt: skip


def an_outcome(partition: int, offset: int, accepted: float, request_id: str = "r") -> Accepted:
    return Accepted(
        play="p", event_id=f"{partition}-{offset}", user_id="u", item_id="i", time=0.0, sent_wall=accepted, accepted_wall=accepted,
        partition=partition, offset=offset, request_id=request_id,
    )  # fmt: skip


def freshness(accepted: list[Accepted], asked: list[Asked], manifests: dict[str, Manifest]) -> Freshness:
    return from_answers(accepted, first_answers(asked), manifests)


def test_an_outcome_is_fresh_with_the_first_answer_of_the_bundle_that_lists_it() -> None:
    manifests = chain(a_manifest(BASE, None), a_manifest(ONE, BASE, {"3": (7,)}))
    found = freshness([an_outcome(3, 7, 10.0)], [an_answer(BASE, 9), an_answer(ONE, 12), an_answer(ONE, 11.5)], manifests)
    assert found.all.tolist() == [1.5]
    assert found.in_example.tolist() == [1.5]
    assert found.corrections.tolist() == []


def test_a_descendant_learned_what_its_ancestor_lists() -> None:
    manifests = chain(a_manifest(BASE, None), a_manifest(ONE, BASE, {"3": (7,)}), a_manifest(TWO, ONE))
    found = freshness([an_outcome(3, 7, 10.0)], [an_answer(BASE, 9), an_answer(TWO, 13)], manifests)
    assert found.all.tolist() == [3.0]


def test_an_ancestor_did_not_learn_what_its_descendant_lists() -> None:
    manifests = chain(a_manifest(BASE, None), a_manifest(ONE, BASE), a_manifest(TWO, ONE, {"3": (7,)}))
    found = freshness([an_outcome(3, 7, 10.0)], [an_answer(ONE, 11), an_answer(TWO, 14)], manifests)
    assert found.all.tolist() == [4.0]


def test_a_sibling_did_not_learn_it_either() -> None:
    manifests = chain(a_manifest(BASE, None), a_manifest(ONE, BASE, {"3": (7,)}), a_manifest(THREE, BASE))
    found = freshness([an_outcome(3, 7, 10.0)], [an_answer(THREE, 11)], manifests)
    assert math.isinf(found.all[0])
    assert math.isinf(found.in_example[0])


def test_an_outcome_that_no_bundle_lists_is_infinite_and_counts() -> None:
    manifests = chain(a_manifest(BASE, None), a_manifest(ONE, BASE, {"3": (7,)}))
    found = freshness([an_outcome(3, 7, 10.0), an_outcome(3, 8, 10.0)], [an_answer(ONE, 11)], manifests)
    assert found.all.tolist() == [1.0, math.inf]
    assert len(found.in_example) == 1
    assert quantile(found.all, 0.5) == 1.0
    assert quantile(found.all, 0.99) is None


def test_a_correction_is_counted_apart() -> None:
    manifests = chain(a_manifest(BASE, None), a_manifest(ONE, BASE, {"3": (7,)}, {"3": (8,)}))
    found = freshness([an_outcome(3, 7, 10.0), an_outcome(3, 8, 10.5)], [an_answer(ONE, 11)], manifests)
    assert found.in_example.tolist() == [1.0]
    assert found.corrections.tolist() == [0.5]


def test_the_partition_is_part_of_the_place() -> None:
    manifests = chain(a_manifest(BASE, None), a_manifest(ONE, BASE, {"3": (7,)}))
    assert math.isinf(freshness([an_outcome(4, 7, 10.0)], [an_answer(ONE, 11)], manifests).all[0])


def test_plain_behaviour_and_what_was_never_accepted_are_no_outcomes() -> None:
    found = freshness([an_outcome(3, 7, 10.0, request_id=""), an_outcome(-1, -1, 0.0)], [], chain(a_manifest(BASE, None)))
    assert len(found.all) == 0
    assert quantile(found.all, 0.5) is None


def test_an_answer_that_failed_shows_no_bundle() -> None:
    manifests = chain(a_manifest(BASE, None), a_manifest(ONE, BASE, {"3": (7,)}))
    assert math.isinf(freshness([an_outcome(3, 7, 10.0)], [an_answer(ONE, 11, "failed")], manifests).all[0])


def test_learned_twice_counts_with_the_first_answer_of_either() -> None:
    """After a crash another life of the updater learns the same offsets again."""
    manifests = chain(a_manifest(BASE, None), a_manifest(ONE, BASE, {"3": (7,)}), a_manifest(THREE, BASE, {"3": (7,)}))
    found = freshness([an_outcome(3, 7, 10.0)], [an_answer(THREE, 12), an_answer(ONE, 15)], manifests)
    assert found.all.tolist() == [2.0]


def test_a_bundle_is_seen_through_its_earliest_descendant() -> None:
    manifests = chain(a_manifest(BASE, None), a_manifest(ONE, BASE), a_manifest(TWO, ONE))
    assert first_seen(manifests, {TWO: 5.0, BASE: 1.0}) == {BASE: 1.0, ONE: 5.0, TWO: 5.0}


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2.0), (0.75, 3.0), (0.99, None)])
def test_a_quantile_is_a_value_that_was_seen(share: float, expected: float | None) -> None:
    assert quantile(np.array([1.0, 2.0, 3.0, np.inf]), share) == expected


def test_the_base_is_found_through_the_parents() -> None:
    manifests = chain(a_manifest(BASE, None), a_manifest(ONE, BASE), a_manifest(TWO, ONE))
    assert base_of(manifests, TWO) == BASE
    assert base_of(manifests, BASE) == BASE
    assert base_of(chain(a_manifest(TWO, ONE)), TWO) is None
    assert base_of(manifests, "") is None
