"""How weights move: table rows as the settings say, the dense weights by AdamW, one clip over both."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from services.updater.learning.device import in_any_order, moved
from services.updater.learning.rows import Arrays
from services.updater.learning.tables import Tables
from shared.tasks import LearningSettings


class Optimiser:
    """Both optimisers with their state; everything that a checkpoint must hold to go on bit for bit."""

    def __init__(self, model: nn.Module, tables: Tables, settings: LearningSettings) -> None:
        self.model, self.tables, self.settings = model, tables, settings
        self.learned = 0
        """Rows learned so far; they are the clock of the accumulators' decay."""
        self.still = np.zeros(len(tables.values), np.bool_)
        """Rows that do not move."""
        self.freeze(())
        cuda = tables.values.device.type == "cuda"  # where a step is recorded, and so its rate must lie
        rate = torch.tensor(settings.dense_rate, device=tables.values.device) if cuda else settings.dense_rate
        self.dense = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=settings.weight_decay, fused=True, capturable=cuda)

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
        dense = [weight for weight in self.model.parameters() if weight.grad is not None]
        nn.utils.clip_grad_norm_([*dense, leaf], self.settings.clip)
        self.dense.step()
        self.dense.zero_grad(set_to_none=True)
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
        """Steps that are taken within leave the dense weights and AdamW's moments as they are; moments that were none are zero."""
        weights = [(weight, weight.detach().clone()) for weight in self.model.parameters()]
        moments = {of: {part: value.clone() for part, value in state.items()} for of, state in self.dense.state.items()}
        yield
        with torch.no_grad():
            for weight, kept in weights:
                weight.copy_(kept)
        for of, state in self.dense.state.items():
            for part, value in state.items():
                value.copy_(moments[of][part] if of in moments else torch.zeros_like(value))

    def state(self) -> Arrays:
        """AdamW's moments by weight, and the clock."""
        arrays: Arrays = {"learned": np.array(self.learned)}
        for name, weight in self.model.named_parameters():
            for part, value in self.dense.state.get(weight, {}).items():
                arrays[f"{name}.{part}"] = value.cpu().numpy().copy()
        return arrays

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Become what :meth:`state` gave."""
        self.learned = int(state["learned"])
        self.dense.state.clear()
        for name, weight in self.model.named_parameters():
            if f"{name}.step" in state:
                parts = ("step", "exp_avg", "exp_avg_sq")
                self.dense.state[weight] = {
                    part: torch.from_numpy(state[f"{name}.{part}"].copy()).to(weight.device) for part in parts
                }
