"""How weights move: table rows as the settings say, the dense weights by AdamW, one clip over both."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby

import numpy as np
import torch
from torch import Tensor, nn

from services.updater.learning.device import in_any_order, moved
from services.updater.learning.flat import Flat
from services.updater.learning.rows import Arrays
from services.updater.learning.tables import Tables
from shared.tasks import LearningSettings

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW remembers of each weight, by its own names, beside ``step``, how often it moved."""


class Optimiser:
    """Both optimisers with their state; everything that a checkpoint must hold to go on bit for bit."""

    def __init__(self, model: nn.Module, tables: Tables, settings: LearningSettings) -> None:
        self.model, self.tables, self.settings = model, tables, settings
        self.learned = 0
        """Rows learned so far; they are the clock of the accumulators' decay."""
        self.still = np.zeros(len(tables.values), np.bool_)
        """Rows that do not move."""
        self.flat = Flat(model)
        self._moments = {part: torch.zeros_like(self.flat.weights) for part in MOMENTS}
        self._steps: dict[str, Tensor] = {}
        self.freeze(())

    def freeze(self, parts: tuple[str, ...]) -> None:
        """From now on these do not move: tables, dense weights, or groups of them by the name's start (``layers``)."""
        for name, weight in self.model.named_parameters():
            weight.requires_grad_(not any(name == part or name.startswith((f"{part}.", f"{part}_bias")) for part in parts))
        self.still[:] = False
        self.still[self.tables.unknown()] = True
        for name in self.tables.owners:
            if name in parts or name in self.tables.without:
                first = self.tables.offset[name]
                self.still[first : first + self.tables.owners[name].capacity] = True
        self.fixed = moved(self.still[:, None].copy(), self.tables.values.device)  # (rows, 1)
        self._arrange({name: float(self._steps.get(name, 0.0)) for name in self.flat.spans})

    def pace(self, count: int) -> None:
        """Set the dense rate of the next step, of so many examples: fewer than the reference make it smaller."""
        rate = self.settings.dense_rate * min(1.0, count / self.settings.batch)
        for group in self.dense.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def step(self, leaf: Tensor, rows: Tensor) -> None:
        """Move the weights by the gradients that stand in the model and in ``leaf``, then forget these.

        Args:
            leaf: (k, D + 1) the gathered rows, with their gradient.
            rows: (k,) their global numbers: distinct, but that 0 may stand there more than once.
        """
        assert leaf.grad is not None
        leaf.grad.masked_fill_(self.fixed[rows], 0.0)
        nn.utils.clip_grad_norm_([*self.moving, leaf], self.settings.clip)
        self.dense.step()
        self.flat.gradients.zero_()
        with torch.no_grad(), in_any_order():
            self.tables.optimiser.move(self.tables.values, self.tables.accumulators, rows, leaf.grad)

    def age(self, count: int) -> None:
        """So many more rows are learned: forget some of the rows' past gradients when it is time."""
        before, self.learned = self.learned, self.learned + count
        times = self.learned // self.settings.decay_rows - before // self.settings.decay_rows
        if times:
            self.tables.optimiser.fade(self.tables.accumulators, self.settings.row_decay**times)

    @contextmanager
    def dry_run(self) -> Iterator[None]:
        """Steps that are taken within leave the dense weights and AdamW's moments as they are."""
        tensors = [self.flat.weights, *self._moments.values(), *self._steps.values()]
        kept = [tensor.clone() for tensor in tensors]
        yield
        for tensor, before in zip(tensors, kept, strict=True):
            tensor.copy_(before)

    def state(self) -> Arrays:
        """AdamW's moments by weight, and the clock."""
        arrays: Arrays = {"learned": np.array(self.learned)}
        arrays |= {f"{name}.step": step.cpu().numpy().copy() for name, step in self._steps.items()}
        for part, values in self._moments.items():
            arrays |= {f"{name}.{part}": value.cpu().numpy().copy() for name, value in self.flat.named(values).items()}
        return arrays

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Become what :meth:`state` gave; a weight that it lacks has not moved yet."""
        self.learned = int(state["learned"])
        for part, values in self._moments.items():
            values.zero_()
            for name, value in self.flat.named(values).items():
                if f"{name}.{part}" in state:
                    value.copy_(torch.from_numpy(state[f"{name}.{part}"].copy()))
        self._arrange({name: float(state.get(f"{name}.step", 0.0)) for name in self.flat.spans})

    def _arrange(self, steps: Mapping[str, float]) -> None:
        """Let AdamW move what is to move: weights that lie side by side and have moved as often, most often all, as one."""
        moving = {name for name, weight in self.model.named_parameters() if weight.requires_grad}
        device = self.flat.weights.device
        state: dict[Tensor, dict[str, Tensor]] = {}
        for (moves, count), group in groupby(self.flat.spans, lambda name: (name in moving, steps[name])):
            names, step = list(group), torch.tensor(count, device=device)
            self._steps.update(dict.fromkeys(names, step))
            if moves:
                span = slice(self.flat.spans[names[0]].start, self.flat.spans[names[-1]].stop)
                run = nn.Parameter(self.flat.weights[span])
                run.grad = self.flat.gradients[span]
                state[run] = {"step": step} | {part: values[span] for part, values in self._moments.items()}
        self.moving = list(state)
        cuda = device.type == "cuda"  # where a step is recorded, and so its rate must lie
        self.dense = torch.optim.AdamW(
            [{"params": self.moving}],  # perhaps none
            lr=torch.tensor(self.settings.dense_rate, device=device) if cuda else self.settings.dense_rate,
            weight_decay=self.settings.weight_decay, fused=True, capturable=cuda,
        )  # fmt: skip
        self.dense.state.update(state)
