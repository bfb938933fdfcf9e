"""Data parallel over processes: each grades its share of every step's rows, and the gradients are summed.

``torchrun --nproc-per-node N -m services.updater`` starts N processes that learn as one. Rank 0 reads Kafka, plans, tests and
publishes; it tells the others each window, plan and examples, and they learn it too. Every process holds the whole model: rows are
admitted, moved and expired everywhere alike, so that a step sends gradients alone, those of the dense weights and of its distinct
rows, in one all-reduce.

The weights are those of one process but for the order in which gradients are summed, within 1e-5 (on CUDA without dropout alone,
whose units one process draws otherwise there). Bit for bit they are a function of the log and of the number of processes.
"""

import os
from collections.abc import Iterable, Iterator
from datetime import timedelta

import msgspec
import torch
from torch import Tensor, distributed

from services.updater.learning.draws import kept
from services.updater.windows.window import Window

STEP = timedelta(minutes=2)
"""How long a process waits for another in a step before it gives up: then all end, and start again from the checkpoint."""
QUIET = timedelta(days=365)
"""How long one waits for the next window: a shop may be closed. A process that died is noticed at once."""
_decode = msgspec.msgpack.Decoder(Window).decode


class Together:
    """This process among those that learn as one.

    Args:
        device: where gradients lie: they travel over NCCL from CUDA, else over Gloo.
    """

    def __init__(self, device: torch.device) -> None:
        distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=STEP)
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        told = distributed.new_group(backend="gloo", timeout=QUIET)
        assert isinstance(told, distributed.ProcessGroup)
        self._told = told
        self._rows = 0
        self._mine = slice(0)

    def share(self, rows: int) -> slice:
        """Which of a step's rows this process grades; those of all processes make the whole."""
        first, after = (rows * rank // self.size for rank in (self.rank, self.rank + 1))
        self._rows, self._mine = rows, slice(first, after)
        return self._mine

    def drop(self, hidden: Tensor, share: float) -> Tensor:
        """This process' part of what one process would drop of the whole step: all draw for all rows."""
        return hidden * kept(self._rows, hidden.shape[1], share, hidden.device)[self._mine]

    def add(self, weights: Iterable[Tensor]) -> None:
        """Make every gradient that stands in these the sum over all processes."""
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        for gradient, total in zip(gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(total.view_as(gradient))

    def tell(self, windows: Iterable[Window | None]) -> Iterator[Window | None]:
        """The windows, each told to the other processes first; at their end these end too. For rank 0."""
        for window in windows:
            if window is not None:
                self.send(msgspec.msgpack.encode(window))
            yield window
        self.send(b"")

    def told(self) -> Iterator[Window]:
        """What rank 0 tells, for the others."""
        while data := self.receive():
            yield _decode(data)

    def send(self, data: bytes) -> None:
        """Give these bytes to every other process' :meth:`receive`. For rank 0."""
        distributed.broadcast(torch.tensor([len(data)]), 0, group=self._told)
        if data:
            distributed.broadcast(torch.frombuffer(bytearray(data), dtype=torch.uint8), 0, group=self._told)

    def receive(self) -> bytes:
        """What rank 0 sends next."""
        size = torch.zeros(1, dtype=torch.int64)
        distributed.broadcast(size, 0, group=self._told)
        data = torch.empty(int(size), dtype=torch.uint8)
        if len(data):
            distributed.broadcast(data, 0, group=self._told)
        return data.numpy().tobytes()

    def leave(self) -> None:
        """End the connections; all processes do."""
        distributed.destroy_process_group()


def joined(device: torch.device) -> Together | None:
    """This process among those that torchrun started; ``None`` where it is alone."""
    return Together(device) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else None
