"""Take up features that came or went since a model began: its checkpoint is written anew for the inputs that there are now.

A feature that emerged starts at weight zero, so that no score changes by it. Learning that is taken back to the new checkpoint
goes on from there; the examples of windows that are learned again are matched by name.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.updater.assembly import assortment_of, race_of
from services.updater.evaluation import remembered
from services.updater.history.base import store_whole
from services.updater.publishing.publisher import Saved
from services.updater.recovery import Checkpoint
from shared.bundles.storage import Storage
from shared.messages import Inputs
from shared.tasks import Task


def adopted(
    task: Task, storage: Storage, checkpoint: Checkpoint, inputs: Inputs, epoch: int, key: Ed25519PrivateKey
) -> Saved:  # fmt: skip
    """The checkpoint for other inputs, to be saved; its bundle, of the same window under ``epoch``, is stored already.

    Raises:
        BundleRefused: something stored is missing or damaged.
    """
    race = race_of(task, inputs, assortment_of(task, storage, checkpoint), checkpoint)
    before = checkpoint.progress
    _, progress = store_whole(storage, race.champion, before, epoch, key, parent=before.version)
    return Saved(progress, race.champion.state() | race.state() | remembered.kept(checkpoint.state))
