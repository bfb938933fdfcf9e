"""A public set ready to be played: read, folded, and made into rows, which are kept."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from services.updater.history.past import Past
from services.updater.learning.batches import Batcher
from services.updater.learning.catalogue import Assortment, build
from services.updater.texts.vectors import TextCache
from shared.datasets.moments import Shop
from shared.features.assemble import Assembler
from shared.features.counters import Counters
from shared.keys import key
from shared.messages import Example, Inputs, Item
from tests.bench.learning import columns
from tests.bench.learning.baskets import Questions, questions
from tests.bench.learning.journey import RepeatingJourney
from tests.bench.learning.ours import column
from tests.bench.learning.protocol import Stream
from tests.bench.learning.rivals import Seen, words
from tests.bench.learning.sets import PublicSet, Source
from tests.features import plans

LONGEST = 50
"""Items in a list that is learned; a longer one is a question."""


@dataclass(frozen=True)
class Prepared:
    """A set ready to be played."""

    of: PublicSet
    stream: Stream
    seen: Seen
    questions: Questions | None = None

    @property
    def assortment(self) -> Assortment:
        """Its items."""
        return self.seen.assortment

    @property
    def inputs(self) -> Inputs:
        """Its dense inputs."""
        return self.seen.inputs


def prepare(chosen: PublicSet, source: Source, share: float, seed: int = 7) -> Prepared:
    """Read a set, fold it and make its rows; kept in the cache, as it takes minutes.

    Raises:
        BadSettings: the set is not in the folder.
    """
    assembler = Assembler(plans(), chosen.task.context)
    shop = chosen.read(source, share, seed)
    items = list(shop.items.values())
    assortment = Assortment(chosen.task.model.text_dim)
    vectors = TextCache(source.cache / "texts").ensure(item.title for item in items)
    assortment.add(build(items, vectors, chosen.task.model.text_dim))
    kept = source.cache / f"{chosen.name}-{share}-{seed}.npz"
    if not kept.exists():
        _make(chosen, shop, assembler, assortment, kept)
    stream = Stream.of(columns.load(kept), chosen.delays, chosen.warm, chosen.task.wait)
    questions = Questions.load(_beside(kept)).since(stream.batch.time[stream.start]) if _beside(kept).exists() else None
    return Prepared(chosen, stream, Seen(assembler.inputs, assortment, _words(items)), questions)


def _make(chosen: PublicSet, shop: Shop, assembler: Assembler, assortment: Assortment, file: Path) -> None:
    """The rows of a set, and its questions where it has some."""
    past = Past(Counters(plans()), assembler, assembler.inputs, shop.items.values(), chosen.task.name, chosen.task.labels[0])
    batcher = Batcher(assembler.inputs, chosen.task.labels, assortment)
    asked: list[Example] = []
    batch = columns.whole(batcher, _learned(past.examples(shop.moments()), asked))
    if isinstance(shop, RepeatingJourney):
        rows = columns.whole(batcher, asked)
        times = column(rows, assembler.inputs, "context.repeat_times").astype(np.float64)
        questions(rows, shop.asked, shop.common, shop.before, times).save(_beside(file))
    columns.save(batch, file)


def _learned(examples: Iterable[Example], asked: list[Example]) -> Iterator[Example]:
    """The examples without those that are only asked, which are put aside."""
    for example in examples:
        if len(example.impression.items) > LONGEST:
            asked.append(example)
        else:
            yield example


def _beside(file: Path) -> Path:
    return file.with_suffix(".asked.npz")


def _words(items: Iterable[Item]) -> dict[int, tuple[str, ...]]:
    return {key(item.item_id): words(item.title) for item in items if item.title}
