"""A task with three labels goes the whole way: the joiner tells them apart, the updater learns a head of each."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from services.joiner.join import Partition
from services.joiner.records import Answered, Learn, Mark, Safe, Shown
from services.joiner.rule import Rule
from services.joiner.segments import Segments
from services.updater.learning.batches import Batcher
from shared.messages import Behaviour, Example
from shared.model.update import whole
from tests.contracts.test_served_as_learned import contents, manifest, served
from tests.learning import INPUTS, assortment, catalogue, learner, shown, task

LABELS = ("click", "cart", "purchase")
EVERY = {"click": 2, "cart": 4, "purchase": 8}
"""Of the items i0, i1, ... every so manieth is clicked, put into the cart, bought, whenever it is shown."""
DELAYS = {"click": 100, "cart": 200, "purchase": 9_000}
"""Milliseconds after the impression: a purchase comes as a correction."""
LISTS = 300


def happens(item: str, action: str) -> bool:
    return int(item[1:]) % EVERY[action] == 0


def joined(folder: Path) -> list[Example]:
    """What the joiner makes of lists of five, shown a second apart, and of what was done to them; each click is told twice."""
    rule = Rule.of(task(labels=LABELS), slack=500, skew=10)
    partition = Partition(0, rule, Segments(folder), Safe(Mark(0, 0), Mark(0, 0)))
    lists = [shown(number).impression for number in range(LISTS)]
    partition.read_impressions(
        [Shown(n, 1_000 * n, one, msgspec.msgpack.encode(one)) for n, one in enumerate(lists)], LISTS, 1_000 * LISTS
    )
    done = sorted(
        (1_000 * n + DELAYS[action] + repeat, one.request_id, one.user_id, item, action)
        for n, one in enumerate(lists)
        for item in one.items
        for action in LABELS
        if happens(item, action)
        for repeat in range(2 if action == "click" else 1)
    )
    answers = [
        Answered(offset, time, Behaviour(event_id=f"e{offset}", user_id=user, item_id=item, action=action,
                                         time=datetime.fromtimestamp(time / 1000, UTC), request_id=request), None)
        for offset, (time, request, user, item, action) in enumerate(done)
    ]  # fmt: skip
    partition.read_behaviour(answers, len(answers), 1_000 * LISTS)
    partition.all_shown_before(1 << 40)
    partition.all_answered_before(1 << 40)
    emitted = [one.value for one in partition.step() if isinstance(one, Learn)]
    assert partition.counts["repeated"] == sum(action == "click" for *_, action in done) / 2
    return [msgspec.msgpack.decode(value, type=Example) for value in emitted]


def test_three_labels_are_joined_learned_and_scored_each_by_its_head(tmp_path: Path) -> None:
    examples = joined(tmp_path / "p")
    assert {outcome.action for one in examples if one.kind == "list" for outcome in one.outcomes} == {"click", "cart"}
    assert {outcome.action for one in examples if one.kind == "correction" for outcome in one.outcomes} == {"purchase"}
    one = learner(task(labels=LABELS, row_rate=0.1, dense_rate=0.01))
    batcher = Batcher(INPUTS, LABELS, assortment())
    lists = [example for example in examples if example.kind == "list"]
    late = [example for example in examples if example.kind == "correction"]
    for number, start in enumerate(range(0, LISTS, 20)):
        window = lists[start : start + 20]
        origins = {example.origin for example in window}
        made, _ = batcher.batch([*window, *(example for example in late if example.corrects in origins)], lambda _: False)
        one.learn(made, number)
    scorer = whole(contents(one, one.tables.full(), manifest(one, "full", None, "0-1"), {"one": catalogue()}))
    scores = np.concatenate([served(scorer, number) for number in range(LISTS)])
    items = [item for number in range(LISTS) for item in shown(number).impression.items]
    assert scores.shape == (5 * LISTS, 3)
    for head, action in enumerate(LABELS):
        yes = np.array([happens(item, action) for item in items])
        assert scores[yes, head].mean() > scores[~yes, head].mean() + 0.2, action
        assert scores[:, head].mean() == pytest.approx(yes.mean(), abs=0.15)
