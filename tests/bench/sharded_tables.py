"""``torchrun --nproc-per-node 2 -m tests.bench.sharded_tables``: id tables whose rows are shared out over processes.

The smallest case of ``services/updater/learning/SHARDING.md``: no process holds the table, a step's distinct rows are gathered from
their owners, each process grades its share of the step, and each owner moves its own rows. Compared with the table in one piece.
"""

import argparse
import sys
import time

import torch
from torch import Tensor, distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.nn import functional

RATE, EPSILON, START = 0.03, 1e-10, 1e-8
FIELDS, BATCH, WIDTH = 6, 256, 17


class Sharded:
    """A table's rows and their Adagrad sums, each process holding one span of the rows.

    Args:
        values: (rows, width), the same in every process; it may be dropped afterwards.
    """

    def __init__(self, values: Tensor) -> None:
        self._mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
        self.values = distribute_tensor(values, self._mesh, [Shard(0)])
        self.own = self.values.to_local()
        self.sums = torch.full((len(self.own), 1), START)
        self.first = distributed.get_rank() * -(-len(values) // distributed.get_world_size())

    def gather(self, rows: Tensor) -> Tensor:
        """(k, width) of these rows: each owner gives its own, and one all-reduce brings them together."""
        found = functional.embedding(DTensor.from_local(rows, self._mesh, [Replicate()]), self.values)
        assert isinstance(found, DTensor)
        return found.full_tensor().detach()

    def move(self, rows: Tensor, gradient: Tensor) -> None:
        """Row-wise Adagrad on the rows that are ours; (k,) and (k, width)."""
        mine = (rows >= self.first) & (rows < self.first + len(self.own))
        adagrad(self.own, self.sums, rows[mine] - self.first, gradient[mine])


def adagrad(values: Tensor, sums: Tensor, rows: Tensor, gradient: Tensor) -> None:
    """w ← w − rate · g / √Σ mean(g²), in place."""
    sums[rows] += gradient.square().mean(1, keepdim=True)
    values[rows] -= RATE * gradient / (sums[rows].sqrt() + EPSILON)


def play(table: Sharded, whole: Tensor, steps: int) -> tuple[float, bool]:
    """Learn steps of random ids and labels on both; the seconds that the shared one took, and whether it gave the same rows."""
    rank, size, sums = distributed.get_rank(), distributed.get_world_size(), torch.full((len(whole), 1), START)
    spent, equal = 0.0, True
    share = slice(BATCH * rank // size, BATCH * (rank + 1) // size)
    for _ in range(steps):
        rows, places = torch.unique(torch.randint(0, len(whole), (BATCH, FIELDS)), return_inverse=True)
        labels = torch.randint(0, 2, (BATCH,)).float()
        began = time.perf_counter()
        leaf = table.gather(rows).requires_grad_()
        torch.autograd.backward(loss(leaf[places[share]], labels[share]))
        assert leaf.grad is not None
        distributed.all_reduce(leaf.grad)
        table.move(rows, leaf.grad)
        spent += time.perf_counter() - began
        equal = equal and torch.equal(leaf, whole[rows])
        adagrad(whole, sums, rows, leaf.grad)
    return spent, equal


def loss(rows: Tensor, labels: Tensor) -> Tensor:
    """Of a factorisation machine of the fields, (n, fields, width) against (n,)."""
    vectors, linear = rows[..., :-1], rows[..., -1]
    pairs = 0.5 * (vectors.sum(1).square() - vectors.square().sum(1)).sum(1)
    return functional.binary_cross_entropy_with_logits(linear.sum(1) + pairs, labels, reduction="sum") / BATCH


def main() -> int:
    """Say what each process holds, and whether the shared table has the bits of the one in one piece; 0 if so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_001)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    distributed.init_process_group("gloo")
    torch.set_num_threads(1)
    torch.manual_seed(7)
    whole = torch.randn(arguments.rows, WIDTH) * 0.01
    table = Sharded(whole.clone())
    seconds, equal = play(table, whole, arguments.steps)
    equal = equal and torch.equal(table.own, whole[table.first : table.first + len(table.own)])
    held = 4 * (table.own.numel() + table.sums.numel()) / 1e6
    sys.stdout.write(  # at once, so that two processes' lines do not mix
        f"process {distributed.get_rank()}: {len(table.own):,} of {arguments.rows:,} rows, {held:.0f} MB; "
        f"{1e3 * seconds / arguments.steps:.1f} ms a step of {BATCH}; {'the same bits as' if equal else 'DIFFERS from'} one piece\n"
    )
    sys.stdout.flush()
    distributed.destroy_process_group()
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
