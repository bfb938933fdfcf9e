"""The joiner's law: whatever the order of reading, and wherever it is killed, it says what the oracle says of the two logs."""

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.joiner.join import Partition
from services.joiner.records import Answered, Learn, Mark, Refuse, Safe, Shown
from services.joiner.rule import Rule
from services.joiner.segments import Segments
from shared.messages import Behaviour, Impression, Inputs
from tests.joining import Logged, Said, expected, learned

RULE = Rule("ranking", ("purchase", "click"), wait=100, window=1_000, slack=50, skew=8)
REQUESTS = [f"r{n}" for n in range(12)]
ITEMS = ("a", "b")


def impression(request: str, degraded: bool, task: str) -> Impression:
    same = {"user_id": "u", "time": 0.0, "bundle": "b", "inputs": Inputs(), "items": ITEMS, "scores": bytes(8)}
    return Impression(request_id=request, task=task, degraded=degraded, **same)


def behaviour(offset: int, time: int, request: str | None, item: str, action: str, user: str) -> Behaviour:
    when = datetime.fromtimestamp(time / 1000, UTC)
    return Behaviour(event_id=f"e{offset}", user_id=user, item_id=item, action=action, time=when, request_id=request)


rarely = st.integers(0, 9).map(lambda n: n == 0)


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Logged], list[Logged]]:
    """Two logs whose append times grow, but for steps back within the skew; offsets have gaps."""

    def times(count: int) -> list[tuple[int, int]]:
        offset, now, out = 0, 2_000, []
        for _ in range(count):
            offset += draw(st.sampled_from([1, 1, 1, 2]))
            now += draw(st.sampled_from([0, 1, 5, 20, 60, 100, 101, 300]))
            out.append((offset, now - draw(st.integers(0, RULE.skew // 2))))
        return out

    requests = draw(st.permutations(REQUESTS))[: draw(st.integers(1, 8))]
    shown = [
        Logged(offset, time, impression(request, draw(rarely), "ads" if draw(rarely) else "ranking"))
        for request, (offset, time) in zip(requests, times(len(requests)), strict=True)
    ]
    near = [one.time for one in shown]
    delays = st.sampled_from([-60, -50, -9, 0, 40, 100, 101, 300, 1_000, 1_001, 1_300])
    spots = draw(st.lists(st.tuples(st.sampled_from(near), delays), max_size=14))
    answered, last = [], 0
    for offset, time in enumerate(sorted(base + delta for base, delta in spots)):
        last = max(last, time)
        request = draw(st.sampled_from([*requests, *requests, "ghost", None]))
        item, action = draw(st.sampled_from([*ITEMS, *ITEMS, "z"])), draw(st.sampled_from(["purchase", "click", "view"]))
        user = "v" if draw(rarely) else "u"
        answered.append(Logged(offset, last, behaviour(offset, last, request, item, action, user)))
    return shown, answered


@dataclass
class Worker:
    """Runs the joiner over both logs as a broker would show them, with what it emitted and committed outside of it."""

    shown: list[Logged]
    answered: list[Logged]
    folder: Path
    now: int = 0
    """The broker's clock: what was appended until now can be read."""
    examples: list[bytes] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    committed: list[Safe] = field(default_factory=lambda: [Safe(Mark(0, 0), Mark(0, 0))])
    late: int = 0

    def __post_init__(self) -> None:
        self.start(0)

    def start(self, commit: int) -> None:
        """Begin at a commit, 0 being the newest: a worker that was frozen may leave an older one behind."""
        self.committed = self.committed[: max(1, len(self.committed) - commit)]
        self.partition = Partition(0, RULE, Segments(self.folder), self.committed[-1])

    def read(self, topic: str, count: int) -> None:
        """Read on, as far as there is something appended."""
        log, at = (self.shown, self.partition.shown_next) if topic == "shown" else (self.answered, self.partition.answered_next)
        records = [one for one in log if one.offset >= at and one.time <= self.now][:count]
        if records and topic == "shown":
            raw = [Shown(one.offset, one.time, one.value, msgspec.msgpack.encode(one.value)) for one in records]
            self.partition.read_impressions(raw, records[-1].offset + 1, records[-1].time)
        elif records:
            maybe = [one for one in records if one.value.request_id and one.value.action in RULE.labels]
            taken = [Answered(one.offset, one.time, one.value, one.offset) for one in maybe]
            self.partition.read_behaviour(taken, records[-1].offset + 1, records[-1].time)

    def idle(self) -> None:
        """Ask for the end offsets, as an idle topic must be asked."""
        if not [one for one in self.shown if one.offset >= self.partition.shown_next and one.time <= self.now]:
            self.partition.all_shown_before(self.now - RULE.skew)
        if not [one for one in self.answered if one.offset >= self.partition.answered_next and one.time <= self.now]:
            self.partition.all_answered_before(self.now - RULE.skew)

    def emit(self, acknowledged: int | None = None) -> None:
        """Step, send and commit; or be killed once so many were acknowledged, and begin again."""
        due = self.partition.step()
        for one in due[:acknowledged]:
            self.send(one)
        if acknowledged is None:
            self.committed.append(self.partition.safe())
        else:
            self.start(0)

    def send(self, one: Learn | Refuse) -> None:
        if isinstance(one, Learn):
            self.examples.append(one.value)
        else:
            assert self.refused.setdefault(one.record, one.reason) == one.reason

    def finish(self) -> Said:
        self.now = 1 << 40
        for topic in ("shown", "answered"):
            self.read(topic, 1_000)
        self.idle()
        self.emit()
        assert not self.partition.busy
        return Said(learned(self.examples), self.refused)


moves = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([1, 10, 60, 200, 1_000])),
    st.tuples(st.sampled_from(["shown", "answered"]), st.integers(1, 5)),
    st.tuples(st.just("idle"), st.just(0)),
    st.tuples(st.just("emit"), st.just(0)),
    st.tuples(st.just("killed"), st.integers(0, 4)),
    st.tuples(st.just("restarted"), st.integers(0, 2)),
)


def run(shown: list[Logged], answered: list[Logged], steps: list[tuple[str, int]]) -> Said:
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(shown, answered, Path(folder) / "p", now=1_900)
        for move, n in steps:
            match move:
                case "pass":
                    worker.now += n
                case "idle":
                    worker.idle()
                case "emit":
                    worker.emit()
                case "killed":
                    worker.emit(n)
                case "restarted":
                    worker.start(n)
                case topic:
                    worker.read(topic, n)
        assert worker.partition.counts["beyond_skew"] == 0
        return worker.finish()


def oracle(shown: list[Logged], answered: list[Logged]) -> Said:
    return expected(shown, answered, labels=RULE.labels, wait=RULE.wait, window=RULE.window, slack=RULE.slack)


@settings(max_examples=400, deadline=None)
@given(logs(), st.lists(moves, max_size=60))
def test_any_order_of_reading_and_any_kill_say_what_the_oracle_says(
    both: tuple[list[Logged], list[Logged]], steps: list[tuple[str, int]]
) -> None:
    shown, answered = both
    assert run(shown, answered, steps) == oracle(shown, answered)


def test_the_law_can_fail_without_the_hold_on_behaviours_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.joiner.paid import Paid

    monkeypatch.setattr(Paid, "first_offset", lambda self, oldest, default: default)
    shown = [Logged(0, 2_000, impression("r0", False, "ranking"))]
    answered = [
        Logged(offset, time, behaviour(offset, time, "r0", "a", "click", "u")) for offset, time in enumerate((2_300, 2_400))
    ]
    steps = [("pass", 440), ("shown", 1), ("answered", 1), ("idle", 0), ("emit", 0), ("restarted", 0)]
    assert run(shown, answered, steps) != oracle(shown, answered)
