"""The updater as two processes of torchrun, on real engines: one reads and publishes, both learn."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from services.updater.publishing.checkpoints import Checkpoints
from shared.bundles.storage import Storage
from shared.settings import Settings
from tests import lineage
from tests.examples import send, stream
from tests.updaters import prepared, until

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]

TORCHRUN = "torch.distributed.run --standalone --nproc-per-node 2 -m services.updater"


def test_two_processes_learn_what_is_written_and_one_publishes_it(fresh_settings: Settings, tmp_path: Path) -> None:
    updater = prepared(fresh_settings, tmp_path).start(module=TORCHRUN).ready()
    examples = stream(0, 100, fresh_settings.partitions)
    asyncio.run(send(fresh_settings, examples, pause=0.1))
    until(lambda: updater.metric("updater_examples_total") == len({example.origin for example in examples}))
    updater.stop()
    told = updater.log.read_text()
    assert told.count('"ends"') == 1, told[-3000:]

    storage, progress = Storage.connect(fresh_settings), lineage.last_checkpoint(fresh_settings)
    assert storage.pointer("latest").version == progress.version
    learned, oracle = Checkpoints(storage).load(progress.version)[1], lineage.fresh_run(fresh_settings).learner.state()
    assert oracle.keys() <= learned.keys()
    for name, array in oracle.items():
        np.testing.assert_allclose(learned[name], array, rtol=1e-4, atol=1e-4, err_msg=name)
