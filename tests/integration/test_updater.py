"""The updater on real engines: what is written to Kafka is learned, published, announced, and stands in a checkpoint at the end."""

import asyncio
from pathlib import Path

import msgspec
import numpy as np
import pytest

from infra.local.operate.adopt import adopt
from infra.local.operate.bundles import folded, restore
from services.updater.bisect import bisect, replayed
from services.updater.publishing.checkpoints import Checkpoints
from services.updater.recovery import Checkpoint
from services.updater.settings import UpdaterSettings
from shared.bundles.storage import Storage
from shared.errors import BadInput
from shared.messages import Example, Inputs, Outcome
from shared.settings import Settings
from shared.tasks import RANKING
from tests import lineage
from tests.examples import INPUTS, send, shown, stream
from tests.updaters import prepared, until

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]


def test_what_is_written_is_learned_and_published(fresh_settings: Settings, tmp_path: Path) -> None:
    updater = prepared(fresh_settings, tmp_path).start().ready()
    examples = stream(0, 400, fresh_settings.partitions)
    asyncio.run(send(fresh_settings, examples, pause=0.1))
    wanted = len({example.origin for example in examples})
    until(lambda: updater.metric("updater_examples_total") == wanted)
    assert updater.stop() == 0, updater.log.read_text()[-3000:]

    storage = Storage.connect(fresh_settings)
    manifests = [storage.manifest(version) for version in storage.versions()]
    learned = sorted(offset for manifest in manifests for offsets in manifest.outcomes.values() for offset in offsets)
    assert learned == sorted(outcome.offset for outcome in _once(examples, "list"))
    corrected = sorted(offset for manifest in manifests for offsets in manifest.corrections.values() for offset in offsets)
    assert corrected == sorted(outcome.offset for outcome in _once(examples, "correction"))
    assert {manifest.kind for manifest in manifests} == {"full", "delta"}
    assert lineage.last_checkpoint(fresh_settings).weights_sha256 == lineage.fresh_run(fresh_settings).learner.weights_sha256()
    assert storage.pointer("latest").version == lineage.last_checkpoint(fresh_settings).version


def _once(examples: list[Example], kind: str) -> list[Outcome]:
    distinct = {example.origin: example for example in examples if example.kind == kind}
    return [outcome for example in distinct.values() for outcome in example.outcomes]


def test_a_restore_goes_back_and_learns_on_without_the_window_that_did_harm(fresh_settings: Settings, tmp_path: Path) -> None:
    updaters = prepared(fresh_settings, tmp_path)
    first = updaters.start().ready()
    asyncio.run(send(fresh_settings, stream(0, 60, fresh_settings.partitions), pause=0.3))
    _learned(fresh_settings)
    assert first.stop() == 0
    back = lineage.last_checkpoint(fresh_settings)
    running = updaters.start().ready()
    asyncio.run(send(fresh_settings, stream(60, 20, fresh_settings.partitions), pause=0.3))
    asyncio.run(send(fresh_settings, _without_outcomes(80, 40, fresh_settings.partitions)))
    _learned(fresh_settings)
    asyncio.run(send(fresh_settings, stream(120, 60, fresh_settings.partitions), pause=0.3))
    _learned(fresh_settings)

    updating = UpdaterSettings(**fresh_settings.model_dump())
    bad = asyncio.run(bisect(updating, back.version, rows=300))[0].window
    named = {window.plan.window: window for window in asyncio.run(replayed(updating, Checkpoint(back, {})))}[bad]
    assert not any(example.outcomes for example in named.examples if 80 <= example.origin.offset < 120)
    assert any(80 <= example.origin.offset < 120 for example in named.examples)
    asyncio.run(restore(fresh_settings, back.version, [bad], 1.0))
    asyncio.run(send(fresh_settings, stream(180, 20, fresh_settings.partitions), pause=0.1))
    assert running.died() == 1
    assert "Fenced" in running.log.read_text()
    last = updaters.start().ready()
    _learned(fresh_settings)
    assert last.stop() == 0, last.log.read_text()[-3000:]

    counted = asyncio.run(folded(fresh_settings)).lineage
    assert bad not in [plan.window for plan in counted]
    assert [plan.without for plan in counted].count(True) == 1
    assert lineage.last_checkpoint(fresh_settings).weights_sha256 == lineage.fresh_run(fresh_settings).learner.weights_sha256()


def test_a_feature_that_was_added_is_adopted_and_learned(fresh_settings: Settings, tmp_path: Path) -> None:
    updaters = prepared(fresh_settings, tmp_path)
    first = updaters.start().ready()
    asyncio.run(send(fresh_settings, stream(0, 60, fresh_settings.partitions), pause=0.3))
    _learned(fresh_settings)
    assert first.stop() == 0
    running = updaters.start().ready()
    asyncio.run(send(fresh_settings, stream(60, 20, fresh_settings.partitions), pause=0.3))
    _learned(fresh_settings)

    inputs = Inputs(user=INPUTS.user, candidate=("item.favourites_7d", *INPUTS.candidate))
    done = asyncio.run(adopt(fresh_settings, inputs, tmp_path / "signing.pem", 1.0))
    assert (done.emerged, done.vanished) == (("item.favourites_7d",), ())
    asyncio.run(send(fresh_settings, stream(80, 20, fresh_settings.partitions), pause=0.3))  # from rankings of before
    assert running.died() == 1
    assert "Fenced" in running.log.read_text()
    last = updaters.start().ready()
    asyncio.run(
        send(fresh_settings, [_with_favourites(one, inputs) for one in stream(100, 60, fresh_settings.partitions)], pause=0.3)
    )
    _learned(fresh_settings)
    assert last.stop() == 0, last.log.read_text()[-3000:]

    storage = Storage.connect(fresh_settings)
    served = storage.manifest(storage.pointer("latest").version)
    assert served.inputs == inputs
    student = lineage.fresh_run(fresh_settings, Checkpoint(*Checkpoints(storage).load(done.version)))
    assert lineage.last_checkpoint(fresh_settings).weights_sha256 == student.learner.weights_sha256()
    column = 7 * RANKING.model.dim + len(INPUTS.user)
    assert np.abs(student.learner.dense()["layers.0.weight"][:, column]).max() > 0
    with pytest.raises(BadInput, match="the model reads these inputs already"):
        asyncio.run(adopt(fresh_settings, inputs, tmp_path / "signing.pem", 1.0))


def _with_favourites(example: Example, inputs: Inputs) -> Example:
    """As a ranking logs it that serves the adopted bundle."""
    impression = example.impression
    known = np.frombuffer(impression.candidate_features, "<f4").reshape(len(impression.items), -1)
    favourites = np.arange(len(known), dtype="<f4")[:, None]
    features = np.hstack([favourites, known]).astype("<f4").tobytes()
    logged = msgspec.structs.replace(impression, inputs=inputs, candidate_features=features)
    return msgspec.structs.replace(example, impression=logged)


def _without_outcomes(first: int, count: int, partitions: int) -> list[Example]:
    """Lists whose outcomes were lost on the way."""
    lists = [shown(number, partitions) for number in range(first, first + count)]
    return [msgspec.structs.replace(one, outcomes=()) for one in lists]


def _learned(settings: Settings) -> None:
    """Wait until what is served has learned everything."""
    ends = asyncio.run(lineage.ends(settings))
    until(lambda: lineage.learned_up_to(settings) == ends, 90)
