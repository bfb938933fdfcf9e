"""The joiner's parts: its disk, its intake, its clock, what fits, and what it reads back from a commit."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from services.joiner import intake
from services.joiner.app import mark
from services.joiner.clock import Difference, require_near
from services.joiner.fit import Load, require_fit
from services.joiner.records import Mark
from services.joiner.segments import Segments
from services.joiner.settings import JoinerSettings
from services.joiner.waiting import Kind, Waiting
from shared.errors import BadSettings
from shared.kafka import partition_for
from shared.messages import Behaviour, Impression, Inputs
from shared.stream import Start


@dataclass
class Record:
    value: bytes
    partition: int = partition_for("u", 16)
    offset: int = 0
    topic: str = "behaviour"
    key: bytes = b"u"
    timestamp: int = 5_000


HOME = partition_for("u", 16)


def event(**more: object) -> bytes:
    same = {"event_id": "e", "user_id": "u", "item_id": "a", "action": "purchase", "request_id": "r", "time": datetime.now(UTC)}
    return msgspec.json.encode(Behaviour(**(same | more)))


def shown(**more: object) -> bytes:
    same = {"request_id": "r", "task": "ranking", "user_id": "u", "time": 0.0, "bundle": "b", "inputs": Inputs(), "items": ("a",)}
    return msgspec.msgpack.encode(Impression(**(same | {"scores": bytes(4)} | more)))


def test_bytes_come_back_from_any_segment_until_they_are_released(tmp_path: Path) -> None:
    segments = Segments(tmp_path / "s", segment_bytes=10)
    places = [place for n in range(9) for place in segments.append([b"%d" % n * 4, b"-"])]
    assert [segments.read(place) for place in places[::2]] == [b"%d" % n * 4 for n in range(9)]
    assert len(list(segments.folder.iterdir())) > 3
    segments.release(places[-2][0])
    assert segments.read(places[-2]) == b"8888"
    assert segments.size < 20
    segments.close()
    assert not segments.folder.exists()


def test_what_an_earlier_process_left_on_disk_is_removed(tmp_path: Path) -> None:
    Segments(tmp_path / "s").append([b"old"])
    assert Segments(tmp_path / "s").size == 0


def test_what_waits_is_found_by_its_request_until_it_leaves() -> None:
    waiting = Waiting()
    for n in range(5_000):
        assert waiting.add(n // 2, 10 * n, n, (n, 1), Kind.LEARNED) == n
    assert waiting.find(7) == (14, 15)
    for _ in range(4_001):
        waiting.drop_first()
    assert waiting.find(7) == ()
    assert waiting.find(2_000) == (4_001,)
    assert (waiting.offset(4_500), waiting.time(4_500), waiting.place(4_500)) == (45_000, 4_500, (4_500, 1))


def test_only_events_with_a_request_and_a_label_may_be_outcomes() -> None:
    records = [Record(event()), Record(event(action="view")), Record(event(request_id=None))]
    usable, refused = intake.outcomes(records, 16, frozenset({"purchase"}))
    assert [one.record for one in usable] == records[:1]
    assert refused == []


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (Record(b"{"), "undecodable"),
        (Record(b"\xff"), "undecodable"),
        (Record(event(), partition=HOME ^ 1), "misrouted"),
    ],
)
def test_events_that_cannot_be_used_are_refused_with_the_record(record: Record, reason: str) -> None:
    usable, refused = intake.outcomes([record], 16, frozenset({"purchase"}))
    assert usable == []
    assert [(one.reason, one.record) for one in refused] == [(reason, record)]


@pytest.mark.parametrize("value", [b"", b"\xc1", shown(scores=b""), shown(propensities=bytes(8)), shown(history=bytes(8))])
def test_impressions_whose_arrays_do_not_fit_together_are_undecodable(value: bytes) -> None:
    usable, refused = intake.impressions([Record(value)], 16)
    assert usable == []
    assert [one.reason for one in refused] == ["undecodable"]


def test_a_degraded_impression_needs_no_features() -> None:
    assert len(intake.impressions([Record(shown(degraded=True, inputs=Inputs(("x",), ("y",))))], 16).usable) == 1


def test_a_window_that_does_not_fit_says_what_to_change(tmp_path: Path) -> None:
    load = Load(rate=1_000, window=1_800, impression_bytes=10)
    require_fit(load, memory_mb=1_000, folder=tmp_path, partitions=1, segment_bytes=1)
    with pytest.raises(BadSettings, match="FRESHET_JOINER_MEMORY_MB"):
        require_fit(load, memory_mb=300, folder=tmp_path, partitions=1, segment_bytes=1)
    with pytest.raises(BadSettings, match="FRESHET_JOINER_FOLDER"):
        require_fit(Load(1_000, 1_800, 1 << 40), memory_mb=1_000, folder=tmp_path, partitions=1, segment_bytes=1)


def test_a_clock_is_refused_only_for_what_the_measurement_cannot_explain() -> None:
    require_near(Difference(45, 20), skew=60)
    with pytest.raises(BadSettings, match="Synchronise"):
        require_near(Difference(-55, 20), skew=60)


def test_a_commit_by_somebody_else_emits_all_from_its_offset() -> None:
    assert mark(Start(7, "9")) == Mark(7, 9)
    assert mark(Start(7, "")) == Mark(7, 7)
    assert mark(Start(7, "by hand")) == Mark(7, 7)


def test_a_start_is_kept_within_the_log() -> None:
    assert Start(5, "9").within(0, 10) == Start(5, "9")
    assert Start(5, "9").within(7, 10) == Start(7, "9")
    assert Start(50, "60").within(2, 10) == Start(2, "")


def test_settings_may_stand_in_for_the_tasks_times() -> None:
    joined = JoinerSettings(joiner_wait_s=0.5).joined()
    assert (joined.wait, joined.attribution) == (0.5, 1_800.0)
