"""How a step is taken: its loss is graded, and what is to move moves; on CUDA by a record, among processes together."""

from torch import Tensor, autograd

from services.updater.learning.delays import loss
from services.updater.learning.model import Ranker
from services.updater.learning.optimiser import Optimiser
from services.updater.learning.parallel import Together
from services.updater.learning.steps import Record, Step
from shared.tasks import LearningSettings


class Trainer:
    """Takes steps, one after the other.

    Args:
        model, optimiser: what is graded, and what moves it and its table rows.
        settings: of learning.
    """

    def __init__(self, model: Ranker, optimiser: Optimiser, settings: LearningSettings) -> None:
        self.model, self.optimiser, self.settings = model, optimiser, settings
        self.record: Record | None = None
        self.together: Together | None = None

    @property
    def records(self) -> bool:
        """Whether steps are replayed from a record; processes that learn together wait for each other within a step."""
        return self.optimiser.flat.weights.device.type == "cuda" and self.together is None

    def join(self, together: Together) -> None:
        """From now on each step is shared with other processes, which take the same steps from the same state."""
        self.together, self.model.drop = together, together.drop
        self.forget()

    def forget(self) -> None:
        """From now on other tensors move: a record was of those before."""
        self.record = None

    def prepare(self, like: Step) -> None:
        """Make the record of steps like this one, where there is to be one and is none."""
        if self.records and self.record is None:
            with self.optimiser.dry_run():
                self.record = Record(self._move, like, self.settings.batch)

    def take(self, step: Step) -> None:
        """Move the weights by this step."""
        self.optimiser.pace(len(step.places))
        if self.record is not None:
            self.record.replay(step)
        else:
            self._move(step)
        self.optimiser.age(len(step.places))

    def _move(self, step: Step) -> None:
        leaf = self.optimiser.tables.values.index_select(0, step.where).requires_grad_()
        if self.together is None:
            self._grade(leaf, step)
        else:
            self._grade(leaf, step.part(self.together.share(len(step.places))))
            self.together.add([leaf, *self.optimiser.moving])
        self.optimiser.step(leaf, step.where)

    def _grade(self, leaf: Tensor, step: Step) -> None:
        """Leave the loss' gradients in the model and in the step's distinct rows."""
        logits = self.model(leaf[step.places], step.text, step.profile, step.pooled, step.dense, step.log_odds)
        targets = step.labels, step.late, step.weights, step.share
        autograd.backward(loss(self.settings.late, logits, *targets, self.settings.batch, self.settings.correction_clip))
