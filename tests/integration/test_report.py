"""The report from real engines: what stands on the topics and in the storage is all that it goes by."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from infra.local.report.rows import Logged
from infra.local.report.run import run_report
from services.shopper.log import Accepted, Asked, Log, Played
from shared.bundles.manifest import Pointer
from shared.bundles.reader import BundleReader
from shared.bundles.signing import sign, signing_key, write_keys
from shared.bundles.storage import Storage
from shared.errors import BadInput
from shared.kafka import producer, started
from shared.keys import key, keys
from shared.messages import Behaviour, DeadLetter, Example, Impression, Message, Origin, Outcome
from shared.model.scorer import Scorer
from shared.settings import Settings
from shared.topics import examples
from tests.bundles import INPUTS, Publisher, a_model

pytestmark = pytest.mark.engines
LISTS, SIZE = 40, 5
START = 1_700_000_000.0
LEARNED = "00000001-0001"


def base_scorer(storage: Storage, folder: Path) -> Scorer:
    """A base bundle in the storage, a child of it that learned the even outcomes, and the base as it is served."""
    signing, verifying = folder / "signing.pem", folder / "verify.pem"
    write_keys(signing, verifying)
    private = signing_key(signing)
    manifest = Publisher(storage, private, a_model()).full()
    child = msgspec.structs.replace(
        manifest, version=LEARNED, window=1, kind="delta", parent=manifest.version, outcomes={"0": tuple(range(0, LISTS, 2))}
    )
    storage.put_manifest(sign(child, private))
    target = Pointer(task="ranking", version=manifest.version, epoch=1, full=manifest.version, moved_at=0.0)
    return BundleReader(storage, private.public_key()).load(target)


def an_impression(number: int, base: Scorer, random: np.random.Generator) -> Impression:
    """A list as ranking logs it, scored by the base."""
    items = tuple(f"i{n}" for n in random.choice(60, SIZE, replace=False))
    user, candidate = random.random(2, np.float32), random.random((SIZE, 4), np.float32)
    history, weights = keys(["i1", "i2"]), np.array([1.0, 2.0], np.float32)
    odds = random.normal(size=SIZE).astype(np.float32)
    scores = base.score(Logged(user, candidate, history, weights), keys(items), key(f"u{number % 7}"), START, odds)
    return Impression(
        request_id=f"r{number}", task="ranking", user_id=f"u{number % 7}", time=START, bundle=base.manifest.version, inputs=INPUTS,
        items=items, scores=scores[:, 0].tobytes(), log_odds=odds.tobytes(), user_features=user.tobytes(),
        candidate_features=candidate.tobytes(), history=history.tobytes(), history_weights=weights.tobytes(),
    )  # fmt: skip


def a_purchase(number: int, item: str) -> Behaviour:
    return Behaviour(
        event_id=f"e{number}", user_id=f"u{number % 7}", item_id=item, action="purchase", time=datetime.fromtimestamp(START, UTC),
        request_id=f"r{number}",
    )  # fmt: skip


async def send(settings: Settings, records: list[tuple[str, int, Message]]) -> list[tuple[int, int]]:
    """Put these on their topics (name, partition, message); where each stands."""
    client = await started(producer(settings))
    try:
        public = (Behaviour, DeadLetter)
        encoded = [
            (topic, partition, msgspec.json.encode(message) if isinstance(message, public) else msgspec.msgpack.encode(message))
            for topic, partition, message in records
        ]
        sent = [await client.send(topic, value, partition=partition) for topic, partition, value in encoded]
        placed = [await one for one in sent]
    finally:
        await client.stop()
    return [(one.partition, one.offset) for one in placed]


NO_MESSAGES = (b"\xc1", b'{"event_id": "\xff"}', b"[" * 100_000, None)
"""What no decoder takes: of msgpack, of UTF-8, of any depth, and nothing at all."""


async def garble(settings: Settings) -> None:
    """Put records that are no message on every topic that the report reads."""
    client = await started(producer(settings))
    try:
        for topic in ("behaviour", "impressions", examples("ranking"), "dead-letters", "bundles"):
            for value in NO_MESSAGES:
                await client.send_and_wait(topic, value, key=b"any", partition=0)
    finally:
        await client.stop()


def write_log(folder: Path, impressions: list[Impression], places: list[tuple[int, int]], now: float) -> None:
    """As if each list had been asked, its second item bought, and a bundle that learned answered two seconds later."""
    with Log(folder) as log:
        common = {"play": "p", "time": START}
        for number, (shown, (partition, offset)) in enumerate(zip(impressions, places, strict=True)):
            log.write(Asked(**common, user_id=shown.user_id, scheduled_wall=now, sent_wall=now, finished_wall=now + number / 100,
                            status="ok", request_id=shown.request_id, bundle=shown.bundle, size=SIZE))  # fmt: skip
            log.write(Accepted(**common, event_id=f"e{number}", user_id=shown.user_id, item_id=shown.items[1], sent_wall=now,
                               accepted_wall=now, partition=partition, offset=offset, request_id=shown.request_id))  # fmt: skip
        log.write(Asked(**common, user_id="probe", scheduled_wall=now, sent_wall=now, finished_wall=now + 2, status="ok",
                        bundle=LEARNED, window=1, probe=True))  # fmt: skip
        log.write(Played(play="p", kind="synthetic", started_wall=now, ended_wall=now + 10))


@pytest.fixture
def figures(fresh_settings: Settings, tmp_path: Path) -> dict[str, object]:
    """The report of a play: 40 lists, of which 39 purchases stand on the topic and 20 were learned."""
    base, random = base_scorer(Storage.connect(fresh_settings), tmp_path), np.random.default_rng(5)
    impressions = [an_impression(number, base, random) for number in range(LISTS)]
    now = datetime.now(UTC).timestamp()
    purchases = [a_purchase(number, shown.items[1]) for number, shown in enumerate(impressions)]
    lost = msgspec.structs.replace(purchases[7], event_id="another's")
    places = asyncio.run(send(fresh_settings, [("behaviour", 0, lost if n == 7 else p) for n, p in enumerate(purchases)]))
    name, origin = examples("ranking"), Origin("behaviour", 0, 3)
    outcome = Outcome(1, "purchase", 0, 3, START, 2.0)
    letter = DeadLetter(service="joiner", reason="unknown", detail="", origin=origin, key=b"", value=b"", time=purchases[0].time)
    records: list[tuple[str, int, Message]] = [("impressions", n % 4, shown) for n, shown in enumerate(impressions)]
    records += [
        (name, 0, Example(kind="list", origin=Origin("impressions", 0, n), impression=one)) for n, one in enumerate(impressions)
    ]
    records.append((name, 1, Example(kind="correction", origin=origin, impression=impressions[0], outcomes=(outcome,))))
    records += [("dead-letters", 0, letter), ("dead-letters", 1, letter), ("behaviour", 2, purchases[9])]
    asyncio.run(send(fresh_settings, records))
    asyncio.run(garble(fresh_settings))
    write_log(tmp_path / "log", impressions, places, now)
    return run_report(fresh_settings, tmp_path / "log", tmp_path / "out", verify_key=tmp_path / "verify.pem")


def test_the_report_counts_what_the_topics_hold(figures: dict[str, dict[str, object]], tmp_path: Path) -> None:
    assert figures["events"]["sent"] == LISTS
    assert (figures["events"]["lost"], figures["events"]["duplicated"]) == (1, 1)
    assert (figures["examples"], figures["corrections"]) == (LISTS, 1)
    assert figures["unmatched_by_reason"] == {"unknown": 1}, "two letters of one origin are one"
    assert figures["undecodable"] == 5 * len(NO_MESSAGES)
    assert figures["freshness_s"] == {
        "p50": 2.0, "p99": None, "n": LISTS, "never": 20,
        "in_example": {"p50": 2.0, "p99": 2.0, "n": 20, "never": 0},
        "corrections": {"p50": None, "p99": None, "n": 0, "never": 0},
    }  # fmt: skip
    quality = figures["prequential"]
    assert quality["rows"] == LISTS * SIZE
    assert quality["live"] == quality["frozen"], "the base on the logged features says again what it served"
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == figures
    assert "<svg" in (tmp_path / "out" / "report.html").read_text()


def test_a_log_without_a_play_is_refused_in_a_sentence(fresh_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no play that ended: run"):
        run_report(fresh_settings, tmp_path, tmp_path, verify_key=tmp_path / "verify.pem")
