"""Examples of a small shop as the joiner would send them, and a learner that has seen a little of it."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.updater.learning.batches import Batcher
from services.updater.learning.catalogue import Assortment, build
from services.updater.learning.device import choose
from services.updater.learning.learner import Learner
from shared import topics
from shared.bundles.files import Catalogue
from shared.kafka import partition_for, producer, started
from shared.keys import keys
from shared.messages import Example, Impression, Inputs, Item, Origin, Outcome
from shared.settings import Settings
from shared.tasks import RANKING, Task

INPUTS = Inputs(
    user=("user.purchases_1d", "user.purchases_7d"), candidate=("item.purchases_1d", "item.log_price", "context.display")
)
START = 1_500_000_000.0
TEXT = RANKING.model.text_dim


def items(first: int = 0, count: int = 200) -> list[Item]:
    """Lines of the catalogue."""
    when = datetime(2017, 1, 1, tzinfo=UTC)
    return [
        Item(item_id=f"i{i}", time=when, title=f"text {i}", category=f"c{i % 7}", brand=f"b{i % 5}")
        for i in range(first, first + count)
    ]


def shown(number: int, partitions: int, listed: int = 8) -> Example:
    """List ``number``: a function of the number alone; what sold before and an even item number make a purchase likelier."""
    rng = np.random.default_rng(number)
    user = f"u{rng.integers(0, 50)}"
    chosen = rng.choice(200, listed, replace=False)
    features = rng.exponential(size=(listed, 3)).astype(np.float32)
    odds = 1.5 * features[:, 0] + (chosen % 2) - 3
    bought = np.flatnonzero(rng.random(listed) < 1 / (1 + np.exp(-odds)))
    impression = Impression(
        request_id=f"r{number}", task="ranking", user_id=user, time=START + 10.0 * number, bundle="00000000-0001", inputs=INPUTS,
        items=tuple(f"i{i}" for i in chosen), scores=np.full(listed, 0.2, np.float32).tobytes(),
        user_features=rng.exponential(size=2).astype(np.float32).tobytes(), candidate_features=features.tobytes(),
        history=keys(f"i{i}" for i in rng.integers(0, 200, 4)).tobytes(), history_weights=np.ones(4, np.float32).tobytes(),
    )  # fmt: skip
    partition = partition_for(user, partitions)
    outcomes = tuple(Outcome(int(i), "purchase", partition, 10 * number + int(i), impression.time, 0.5) for i in bought)
    return Example(kind="list", origin=Origin("impressions", partition, number), impression=impression, outcomes=outcomes)


def late(example: Example, index: int, offset: int) -> Example:
    """The late purchase of a listed item."""
    impression, partition = example.impression, example.origin.partition
    features = np.frombuffer(impression.candidate_features, np.float32).reshape(len(impression.items), -1)
    alone = msgspec.structs.replace(
        impression, items=(impression.items[index],), scores=impression.scores[4 * index : 4 * index + 4],
        candidate_features=features[index].tobytes(),
    )  # fmt: skip
    outcome = Outcome(0, "purchase", partition, offset, impression.time, 9.0)
    return Example(
        kind="correction", origin=Origin("behaviour", partition, offset), impression=alone, outcomes=(outcome,),
        corrects=example.origin, position=index,
    )  # fmt: skip


def stream(first: int, count: int, partitions: int) -> list[Example]:
    """Lists with some late outcomes among them, and every tenth delivered twice."""
    examples: list[Example] = []
    for number in range(first, first + count):
        examples.append(shown(number, partitions))
        if number % 5 == 4:
            examples.append(late(shown(number - 3, partitions), 1, 10 * number + 9))
        if number % 10 == 9:
            examples.append(shown(number - 1, partitions))
    return examples


async def send(settings: Settings, examples: Iterable[Example], pause: float = 0.0) -> None:
    """Write examples where the joiner would, a pause after every twentieth."""
    client = await started(producer(settings))
    try:
        for n, example in enumerate(examples):
            value = msgspec.msgpack.encode(example)
            await client.send(topics.examples("ranking"), value, partition=example.origin.partition)
            if pause and n % 20 == 19:
                await asyncio.sleep(pause)
        await client.flush()
    finally:
        await client.stop()


def vectors() -> dict[str, NDArray[np.float16]]:
    """What an encoder would make of the items' titles."""
    drawn = np.random.default_rng(0).normal(size=(200, TEXT))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return {f"text {i}": drawn[i].astype(np.float16) for i in range(200)}


def learner(task: Task = RANKING) -> tuple[Learner, list[Catalogue]]:
    """A learner that has seen a little history, and its catalogue."""
    catalogue = build(items(), vectors(), TEXT)
    assortment = Assortment(TEXT)
    assortment.add(catalogue)
    made = Learner(task, INPUTS, assortment, choose())
    made.freeze(task.model.frozen)
    batch, _ = Batcher(INPUTS, task.labels, assortment).batch([shown(1_000_000 + n, 4) for n in range(200)], lambda _: True)
    made.start_at(0.2, batch.numbers())
    made.learn(batch, 0)
    return made, [catalogue]
