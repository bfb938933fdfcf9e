"""Make a model that goes on learning read the features that are declared now."""

from dataclasses import dataclass
from pathlib import Path

from infra.local.operate.bundles import Prepared, relearned
from services.updater.publishing.checkpoints import Checkpoints
from shared import valkey
from shared.bundles.signing import signing_key
from shared.bundles.storage import Storage
from shared.errors import BadInput
from shared.features.assemble import Assembler
from shared.features.plans import Plans
from shared.messages import Inputs
from shared.settings import Settings
from shared.tasks import task


async def declared(settings: Settings) -> Inputs:
    """Every input that the plans in the feature store make for the task.

    Raises:
        BadSettings: nothing was applied yet.
    """
    client = valkey.connect_async(settings)
    try:
        return Assembler(await Plans.load(client, settings.project), task(settings.task).context).inputs
    finally:
        await client.aclose()


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was taken up."""

    version: str
    """Where learning goes on."""
    emerged: tuple[str, ...]
    vanished: tuple[str, ...]


async def adopt(settings: Settings, inputs: Inputs, key: Path, now: float) -> Adopted:
    """Write the newest checkpoint anew for these inputs, and take learning back to it.

    Raises:
        BadInput: the model reads these inputs already.
        BundleRefused: something stored is missing or damaged.
        Unavailable: an updater started in between: do it again.
    """
    from services.updater import adopt, recovery  # it brings torch

    storage = Storage.connect(settings)
    made: list[Adopted] = []

    def prepare(epoch: int) -> Prepared:
        pointer = storage.pointer("latest")
        if pointer is None:
            raise BadInput("nothing is published yet: import history first", field="task")
        checkpoint = recovery.newest(storage, pointer)
        before = storage.manifest(checkpoint.progress.version).inputs
        if before == inputs:
            raise BadInput("the model reads these inputs already", field="inputs")
        saved = adopt.adopted(task(settings.task), storage, checkpoint, inputs, epoch, signing_key(key))
        made.append(Adopted(saved.progress.version, *_changes(before, inputs)))
        return saved.progress.version, lambda: Checkpoints(storage).save(saved.progress, saved.state)

    await relearned(settings, prepare, (), now)
    return made[-1]


def _changes(before: Inputs, after: Inputs) -> tuple[tuple[str, ...], tuple[str, ...]]:
    old, new = {*before.user, *before.candidate}, {*after.user, *after.candidate}
    return tuple(sorted(new - old)), tuple(sorted(old - new))
