"""A small model's examples, for the tests of learning."""

from datetime import UTC, datetime

import msgspec
import numpy as np
import torch

from services.updater.learning.batches import Batch, Batcher
from services.updater.learning.catalogue import Assortment, build
from services.updater.learning.learner import Learner
from shared.bundles.files import Catalogue
from shared.keys import keys
from shared.messages import Example, Impression, Inputs, Item, Origin, Outcome
from shared.tasks import LearningSettings, ModelSettings, Task

INPUTS = Inputs(user=("bought_1d", "bought_7d"), candidate=("sold_1d", "price", "context.display"))
TEXT = 8
START = 1_500_000_000.0
EPOCH = datetime(2017, 1, 1, tzinfo=UTC)


def task(
    labels: tuple[str, ...] = ("purchase",), without: tuple[str, ...] = (), pooling: bool = True, bins: int = 8, **learning: object
) -> Task:
    """A task whose model is small enough for a test."""
    capacity = {"user": 40, "item": 60, "category": 8, "brand": 8, "hour": 32, "weekday": 8}
    model = ModelSettings(dim=4, hidden=(8, 4), text_dim=TEXT, capacity=capacity, without=without, pooling=pooling, bins=bins)
    return Task(
        name="ranking",
        labels=labels,
        model=model,
        learning=LearningSettings(**({"batch": 16} | learning)),
    )


def catalogue(items: int = 30) -> Catalogue:
    """Items ``i0``, ``i1``, ... of three categories, of which every other shares its text with its neighbour."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(items, TEXT))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lines = [
        Item(item_id=f"i{i}", time=EPOCH, title=f"text {i // 2}", category=f"c{i % 3}", brand=f"b{i % 2}") for i in range(items)
    ]
    return build(lines, {f"text {i}": vectors[i].astype(np.float16) for i in range(items)}, TEXT)


def assortment() -> Assortment:
    """Of that catalogue alone."""
    known = Assortment(TEXT)
    known.add(catalogue())
    return known


def shown(offset: int, items: int = 5, inputs: Inputs = INPUTS, **changes: object) -> Example:
    """The list at this offset of partition 0: deterministic, with the first item bought at even offsets."""
    rng = np.random.default_rng(offset)
    history = keys(f"i{i}" for i in rng.integers(0, 30, 3))
    impression = Impression(
        request_id=f"r{offset}",
        task="ranking",
        user_id=f"u{rng.integers(0, 10)}",
        time=START + 60.0 * offset,
        bundle="00000000-0001",
        inputs=inputs,
        items=tuple(f"i{i}" for i in rng.choice(30, items, replace=False)),
        scores=np.full(items, 0.2, np.float32).tobytes(),
        user_features=rng.exponential(size=len(inputs.user)).astype(np.float32).tobytes(),
        candidate_features=rng.exponential(size=(items, len(inputs.candidate))).astype(np.float32).tobytes(),
        history=history.tobytes(),
        history_weights=np.ones(3, np.float32).tobytes(),
        **changes,  # type: ignore[arg-type]
    )
    return Example(
        kind="list", origin=Origin("impressions", 0, offset), impression=impression, outcomes=(bought(0),) * (offset % 2 == 0)
    )


def bought(index: int, action: str = "purchase", offset: int = 0) -> Outcome:
    """The purchase of a shown item."""
    return Outcome(index=index, action=action, partition=0, offset=offset, time=START, delay=1.0)


def correction(offset: int, of: Example, index: int, action: str = "purchase") -> Example:
    """The late purchase of an item of a list."""
    whole = of.impression
    n = len(whole.items)
    candidate = np.frombuffer(whole.candidate_features, np.float32).reshape(n, -1)[index]
    cut = msgspec.structs.replace(
        whole,
        items=(whole.items[index],),
        scores=np.frombuffer(whole.scores, np.float32)[index : index + 1].tobytes(),
        candidate_features=candidate.tobytes(),
    )
    return Example(
        kind="correction",
        origin=Origin("behaviour", 0, offset),
        impression=cut,
        outcomes=(bought(0, action, offset),),
        corrects=of.origin,
        position=index,
    )


def learner(the_task: Task | None = None, inputs: Inputs = INPUTS) -> Learner:
    """A new learner on the CPU, whose bins lie where these examples' numbers do."""
    made = Learner(the_task or task(), inputs, assortment(), torch.device("cpu"))
    made.start_at(0.5, batch([shown(offset, inputs=inputs) for offset in range(20)], inputs).numbers())
    return made


def batch(examples: list[Example], inputs: Inputs = INPUTS, labels: tuple[str, ...] = ("purchase",), learned: bool = True) -> Batch:
    """These examples as a batch, all of whose corrected lists outside it were learned, or none."""
    made, refused = Batcher(inputs, labels, assortment()).batch(examples, lambda _: learned)
    assert not refused.examples
    return made


def window(first: int, lists: int = 20) -> Batch:
    """The lists at these offsets."""
    return batch([shown(offset) for offset in range(first, first + lists)])


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    """Whether two states are equal, bit for bit."""
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)
