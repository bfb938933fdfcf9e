"""``python -m tests.bench.demo_gain``: what learning gains over the frozen base on the demo's shop, without Kafka and HTTP.

The same import, the same lists and the same learner as in the demo, through the batch iterator: a window of lists is predicted by
both models before it is learned, outcomes come late as in the demo (log-normal, median 3 s, p90 20 s, at the given rate), most of
them therefore as corrections. Negatives are sampled: the figures compare the two models and nothing else.
"""

import argparse
import heapq
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import structlog

from infra.local.settings import ROOT
from services.updater.evaluation.metrics import Quality, auc, losses
from services.updater.history.past import Past
from services.updater.history.pretraining import Pretraining
from services.updater.history.the_journey import TheJourney
from services.updater.learning.batches import Batch, Batcher
from services.updater.learning.catalogue import Assortment, build
from services.updater.learning.device import choose
from services.updater.learning.learner import Learner
from services.updater.settings import HistorySettings
from services.updater.texts.vectors import TextCache
from shared.datasets.complete_journey import Journey
from shared.features.assemble import Assembler
from shared.features.counters import Counters
from shared.messages import Example, Origin
from shared.tasks import RANKING, Task
from tests.features import plans

WAIT_S = RANKING.wait
WINDOW_S = 0.25
COLD = 20


def main() -> None:
    """Import, replay, print."""
    arguments = _arguments()
    log, started = structlog.get_logger(), time.monotonic()
    examples, items = _examples(arguments)
    cut = int(np.searchsorted([one.impression.time for one in examples], datetime.fromisoformat(arguments.start).timestamp()))
    log.info("examples", history=cut, live=len(examples) - cut, seconds=round(time.monotonic() - started, 1))
    learner, batcher = _learner(RANKING, examples[0], items)
    Pretraining().run(learner, batcher, examples[:cut], log)
    base = Learner(learner.task, learner.inputs, learner.assortment, learner.device)
    base.load({name: array.copy() for name, array in learner.state().items()})
    scored, started = Scored(), time.monotonic()
    live = examples[cut : cut + arguments.lists]
    for number, window in enumerate(windows(live, arguments.rate), 1):
        scored.add(batcher.batch([one for one in window if one.kind == "list"], lambda _: True)[0], learner, base, live)
        learner.learn(batcher.batch(window, lambda _: True)[0], 1_000_000 + number)
    log.info("replayed", rows_per_second=round(scored.rows / (time.monotonic() - started)))
    for name, quality in scored.report().items():
        print(f"{name:18} {quality}")


def windows(examples: Sequence[Example], rate: float, seed: int = 7) -> Iterator[list[Example]]:
    """The lists at so many a second in windows, each outcome inside its example or as a later correction."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1 / rate, len(examples)))
    delays = rng.lognormal(np.log(3.0), np.log(20 / 3) / 1.2816, len(examples))
    coming: list[tuple[float, int]] = []
    window: list[Example] = []
    end = WINDOW_S
    for i, example in enumerate(examples):
        while arrivals[i] > end:
            while coming and coming[0][0] <= end:
                window.append(correction(examples[heapq.heappop(coming)[1]]))
            yield window
            window, end = [], end + WINDOW_S
        late = delays[i] > WAIT_S
        window.append(msgspec.structs.replace(example, outcomes=() if late else example.outcomes))
        if late:
            heapq.heappush(coming, (arrivals[i] + delays[i], i))
    yield window


def correction(example: Example) -> Example:
    """The late outcome of a list, as the joiner emits it."""
    whole, [outcome] = example.impression, example.outcomes
    index, width = outcome.index, len(whole.inputs.candidate)
    cut = {name: getattr(whole, name)[4 * index : 4 * index + 4] for name in ("scores", "log_odds")}
    one = msgspec.structs.replace(
        whole,
        items=(whole.items[index],),
        candidate_features=whole.candidate_features[4 * width * index : 4 * width * (index + 1)],
        **cut,
    )
    origin = Origin("behaviour", 0, outcome.offset)
    outcomes = (msgspec.structs.replace(outcome, index=0),)
    return Example(kind="correction", origin=origin, impression=one, outcomes=outcomes, corrects=example.origin, position=index)


@dataclass
class Scored:
    """Both models' predictions, made before learning."""

    labels: list[np.ndarray] = field(default_factory=list)
    live: list[np.ndarray] = field(default_factory=list)
    frozen: list[np.ndarray] = field(default_factory=list)
    cold: list[np.ndarray] = field(default_factory=list)
    exposures: dict[int, int] = field(default_factory=dict)
    rows: int = 0

    def add(self, batch: Batch, learner: Learner, base: Learner, examples: Sequence[Example]) -> None:
        """Score a window's lists; their labels are the outcomes, however late."""
        if not len(batch):
            return
        first = examples[0].origin.offset
        truth = np.zeros(len(batch), np.float32)
        starts = np.searchsorted(batch.list, np.arange(len(batch.origins)))
        for start, origin in zip(starts.tolist(), batch.origins, strict=True):
            truth[start + examples[origin.offset - first].outcomes[0].index] = 1
        items = batch.keys["item"].tolist()
        self.cold.append(np.array([self.exposures.get(item, 0) < COLD for item in items]))
        for item in items:
            self.exposures[item] = self.exposures.get(item, 0) + 1
        self.labels.append(truth)
        self.live.append(learner.predict(batch)[:, 0])
        self.frozen.append(base.predict(batch)[:, 0])
        self.rows += len(batch)

    def report(self, resamples: int = 300) -> dict[str, str]:
        """Quality of both, their difference with its paired 95% interval over lists, by thirds, and of cold items."""
        labels, live, frozen, cold = (np.concatenate(part) for part in (self.labels, self.live, self.frozen, self.cold))
        lists = np.arange(len(labels)) // 10
        rng, by_list = np.random.default_rng(7), np.arange(len(labels)).reshape(-1, 10)
        gains, savings = [], []
        for _ in range(resamples):
            rows = by_list[rng.integers(0, len(by_list), len(by_list))].ravel()
            gains.append(auc(labels[rows], live[rows]) - auc(labels[rows], frozen[rows]))
            savings.append(float((losses(labels[rows], frozen[rows]) - losses(labels[rows], live[rows])).mean()))
        thirds = [auc(y, a) - auc(y, b) for y, a, b in zip(*(np.array_split(x, 3) for x in (labels, live, frozen)), strict=True)]
        return {
            "live": str(Quality.of(labels, live, lists)),
            "frozen": str(Quality.of(labels, frozen, lists)),
            "gain of AUC": f"{auc(labels, live) - auc(labels, frozen):+.4f}, 95% {np.percentile(gains, [2.5, 97.5]).round(4)}",
            "less log loss": f"{np.mean(savings):+.4f}, 95% {np.percentile(savings, [2.5, 97.5]).round(4)}",
            "gain by thirds": " ".join(f"{gain:+.4f}" for gain in thirds),
            "cold items": f"AUC {auc(labels[cold], live[cold]):.4f} / {auc(labels[cold], frozen[cold]):.4f}",
        }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    demo = HistorySettings.model_fields
    parser.add_argument("--households", type=int, default=demo["shopper_households"].default)
    parser.add_argument("--seed", type=int, default=demo["shopper_seed"].default)
    parser.add_argument("--start", default=demo["shopper_start"].default, help="event time where history ends")
    parser.add_argument("--lists", type=int, default=12_000, help="lists replayed at most")
    parser.add_argument("--rate", type=float, default=66.0, help="lists a second, which decides how late outcomes come")
    parser.add_argument("--cache", type=Path, default=ROOT / ".state" / "bench" / "demo_gain")
    return parser.parse_args()


def _examples(arguments: argparse.Namespace) -> tuple[list[Example], TheJourney]:
    """The whole year's examples; kept, as they take a minute."""
    journey = Journey.load(arguments.households, arguments.seed, cache=arguments.cache)
    shop = TheJourney(journey, datetime.fromisoformat("2018-01-02T00:00:00Z"))
    kept = arguments.cache / f"examples-{arguments.households}-{arguments.seed}.msgpack"
    if kept.exists():
        return msgspec.msgpack.decode(kept.read_bytes(), type=list[Example]), shop
    assembler = Assembler(plans(), RANKING.context)
    past = Past(Counters(plans()), assembler, assembler.inputs, shop.items.values(), RANKING.name, RANKING.labels[0])
    examples = list(past.examples(shop.moments()))
    kept.write_bytes(msgspec.msgpack.encode(examples))
    return examples, shop


def _learner(task: Task, example: Example, shop: TheJourney) -> tuple[Learner, Batcher]:
    vectors = TextCache(ROOT / ".state" / "texts").ensure(item.title for item in shop.items.values())
    assortment = Assortment(task.model.text_dim)
    assortment.add(build(shop.items.values(), vectors, task.model.text_dim))
    inputs = example.impression.inputs
    return Learner(task, inputs, assortment, choose()), Batcher(inputs, task.labels, assortment)


if __name__ == "__main__":
    main()
