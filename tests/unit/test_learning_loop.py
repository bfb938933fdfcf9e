"""What the learning bench plays is what the updater's loop would have learned of the same stream: the same weights to the bit."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from services.updater.loop import learn
from services.updater.windows.window import Window
from shared.messages import Example, WindowPlan
from tests.bench.learning.ours import Freshet
from tests.bench.learning.protocol import I8, Delays, Known, Stream, replay, windows
from tests.learning import INPUTS, assortment, batch, correction, shown
from tests.parallel import TASK, a_life, log

LISTS, WINDOW = 80, 600.0
DELAYS = Delays(median=60.0, p90=900.0, attribution=1_800.0)


def stream() -> Stream:
    return Stream.of(batch([shown(offset) for offset in range(LISTS)]), DELAYS, 0.3)


def told(played: Stream) -> Iterator[Window]:
    """The windows as Kafka would have brought them: lists with what had come, and the late purchases between them."""
    for known in windows(played, WINDOW):
        yield Window(
            WindowPlan(task="ranking", window=known.number + 1, epoch=2, ranges={"0": (known.first, known.last)}), came(known)
        )


def came(known: Known) -> list[Example]:
    arrival, time = known.stream.arrival, known.stream.batch.time
    lists = [
        (time[n], shown(n) if arrival[n] < known.end else msgspec.structs.replace(shown(n), outcomes=()))
        for n in known.shown.tolist()
    ]
    before = range(known.stream.start, known.first)
    late = [(arrival[n], correction(int(arrival[n]), shown(n), index=0)) for n in before if known.begin <= arrival[n] < known.end]
    return [example for _, example in sorted(lists + late, key=lambda one: one[0])]


class Grown(Freshet):
    """Begins as another learner is."""

    base: dict[str, np.ndarray]

    def begin(self, stream: Stream, lists: I8) -> None:
        self.learner.load(self.base)


def test_the_bench_and_the_loop_predict_and_learn_the_same() -> None:
    life, bench = a_life(), Grown(TASK, INPUTS, assortment())
    bench.base = life.student.learner.state()
    scores, _ = replay(stream(), bench, WINDOW)
    tested: list[np.ndarray] = []
    life.student.watch = lambda batch, measured: tested.append(measured.scores["live"])
    learn(told(stream()), life.student, life.prequential, life.releases, log)
    life.releases.close()
    assert any(example.kind == "correction" for window in told(stream()) for example in window.examples)
    assert np.concatenate(tested) == pytest.approx(
        scores, abs=1e-7
    )  # the loop predicts a window's corrections along with its lists
    assert life.student.learner.weights_sha256() == bench.learner.weights_sha256()
