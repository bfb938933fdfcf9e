"""The joiner's law: whatever the order of reading, and wherever it is killed, it says what the oracle says of the two logs."""

import random
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.joiner.join import Partition
from services.joiner.paid import Paid
from services.joiner.records import Answered, Learn, Mark, Refuse, Safe, Shown
from services.joiner.rule import Rule
from services.joiner.segments import Segments
from shared.messages import Behaviour, Impression, Inputs
from tests.joiner_oracle import Logged, Said, expected, learned

RULE = Rule("ranking", ("purchase", "click"), wait=100, window=600, slack=50, skew=8)
ITEMS = ("a", "b")


def impression(request: str, *, degraded: bool = False, task: str = "ranking") -> Impression:
    same = {"user_id": "u", "time": 0.0, "bundle": "b", "inputs": Inputs(), "items": ITEMS, "scores": bytes(8)}
    return Impression(request_id=request, task=task, degraded=degraded, **same)


def behaviour(offset: int, time: int, request: str | None, item: str = "a", action: str = "click", user: str = "u") -> Behaviour:
    when = datetime.fromtimestamp(time / 1000, UTC)
    return Behaviour(event_id=f"e{offset}", user_id=user, item_id=item, action=action, time=when, request_id=request)


@dataclass(frozen=True)
class Log:
    """A partition of a topic: its records, and the moment at which each was appended, which its time may miss by the skew."""

    records: list[Logged]
    appended: list[int]

    def readable(self, offset: int, now: int) -> list[Logged]:
        return [one for one, when in zip(self.records, self.appended, strict=True) if one.offset >= offset and when <= now]


def logs(dice: random.Random) -> tuple[Log, Log]:
    """Some impressions, and outcomes near the edges of what they may answer; append times step back by less than the skew."""
    now, made, spots = 2_000, [], []
    for n in range(dice.randint(1, 12)):
        now += dice.choice([0, 1, 5, 20, 60, 100, 101, 300])
        task = "ads" if dice.random() < 0.05 else "ranking"
        made.append((now, impression(f"r{n}", degraded=dice.random() < 0.05, task=task)))
        for _ in range(dice.choice([0, 1, 1, 2, 4])):
            delay = dice.choice([-60, -51, -50, -9, 0, 40, 99, 100, 101, 108, 250, 590, 600, 601, 700])
            spots.append((now + delay, f"r{n}" if dice.random() < 0.85 else dice.choice(["ghost", None])))
    answers = []
    for offset, (when, request) in enumerate(sorted(spots, key=lambda spot: spot[0])):
        item, action = dice.choice([*ITEMS, *ITEMS, "z"]), dice.choice(["purchase", "click", "click", "view"])
        answers.append((when, behaviour(offset, when, request, item, action, "v" if dice.random() < 0.05 else "u")))
    return stamped(dice, made), stamped(dice, answers)


def stamped(dice: random.Random, made: list[tuple[int, Impression]] | list[tuple[int, Behaviour]]) -> Log:
    offset, records = -1, []
    for when, value in made:
        offset += dice.choice([1, 1, 1, 2])
        records.append(Logged(offset, when - dice.randrange(RULE.skew), value))
    return Log(records, [when for when, _ in made])


@dataclass
class Worker:
    """Runs the joiner over both logs as a broker would show them, with what it emitted and committed outside of it."""

    shown: Log
    answered: Log
    folder: Path
    now: int = 1_900
    """The clock: what was appended until now can be read."""
    examples: list[bytes] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    committed: list[Safe] = field(default_factory=lambda: [Safe(Mark(0, 0), Mark(0, 0))])

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, commits_ago: int = 0) -> None:
        """Begin at a commit: a worker that was frozen may leave an older one behind than the newest."""
        self.committed = self.committed[: max(1, len(self.committed) - commits_ago)]
        self.partition = Partition(0, RULE, Segments(self.folder), self.committed[-1])

    def read_impressions(self, count: int) -> None:
        if records := self.shown.readable(self.partition.shown_next, self.now)[:count]:
            raw = [Shown(one.offset, one.time, one.value, msgspec.msgpack.encode(one.value)) for one in records]
            self.partition.read_impressions(raw, records[-1].offset + 1, records[-1].time)

    def read_behaviour(self, count: int) -> None:
        if records := self.answered.readable(self.partition.answered_next, self.now)[:count]:
            maybe = [one for one in records if one.value.request_id and one.value.action in RULE.labels]
            taken = [Answered(one.offset, one.time, one.value, one.offset) for one in maybe]
            self.partition.read_behaviour(taken, records[-1].offset + 1, records[-1].time)

    def ask_the_ends(self) -> None:
        """Let time pass for what is read to its end."""
        if not self.shown.readable(self.partition.shown_next, self.now):
            self.partition.all_shown_before(self.now - RULE.skew)
        if not self.answered.readable(self.partition.answered_next, self.now):
            self.partition.all_answered_before(self.now - RULE.skew)

    def emit(self, acknowledged: int | None = None) -> None:
        """Step, send and commit; or be killed once so many were acknowledged, and begin again."""
        due = self.partition.step()
        safe = self.partition.safe()
        for one in due[:acknowledged]:
            self.send(one)
        if acknowledged is None:
            self.committed.append(safe)
        else:
            self.restart()

    def send(self, one: Learn | Refuse) -> None:
        if isinstance(one, Learn):
            self.examples.append(one.value)
        else:
            assert self.refused.setdefault(one.record, one.reason) == one.reason

    def move(self, dice: random.Random) -> None:
        """One thing that may happen."""
        match dice.choice(
            ["pass", "pass", "impressions", "impressions", "behaviour", "behaviour", "ask", "emit", "emit", "trouble"]
        ):
            case "pass":
                self.now += dice.choice([1, 7, 30, 90, 200])
            case "impressions":
                self.read_impressions(dice.randint(1, 4))
            case "behaviour":
                self.read_behaviour(dice.randint(1, 6))
            case "ask":
                self.ask_the_ends()
            case "emit":
                self.emit()
            case "trouble" if dice.random() < 0.5:
                self.emit(dice.randint(0, 3))
            case "trouble":
                self.restart(dice.randint(0, 2))

    def finish(self) -> Said:
        """All that was ever appended is read, and all time has passed."""
        assert self.partition.counts["beyond_skew"] == 0
        self.now = 1 << 40
        self.read_impressions(1_000)
        self.read_behaviour(1_000)
        self.ask_the_ends()
        self.emit()
        assert not self.partition.due(1 << 41)
        return Said(learned(self.examples), self.refused)


def oracle(shown: Log, answered: Log) -> Said:
    return expected(shown.records, answered.records, labels=RULE.labels, wait=RULE.wait, window=RULE.window, slack=RULE.slack)


def said(seed: int) -> tuple[Said, Said]:
    """What the joiner and what the oracle says, of one history of logs, reading and trouble."""
    dice = random.Random(seed)
    shown, answered = logs(dice)
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(shown, answered, Path(folder) / "p")
        for _ in range(dice.randint(0, 150)):
            worker.move(dice)
        return worker.finish(), oracle(shown, answered)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32))
def test_any_order_of_reading_and_any_kill_say_what_the_oracle_says(seed: int) -> None:
    joined, truth = said(seed)
    assert joined == truth


def test_the_law_can_fail_without_the_hold_on_behaviours_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Paid, "first_offset", lambda self, oldest, default: default)
    assert any(joined != truth for joined, truth in map(said, range(300)))
