"""Where the model lives, chosen in one place, and what makes its arithmetic repeat bit for bit.

CUDA works beside the process: steps are queued, and nothing in them waits for the GPU. So the next batch is made while the last one
is learned; a prediction, a bundle and a checkpoint read back. What was seen on a GPU is in this folder's README.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def choose(kind: str | None = None) -> torch.device:
    """CUDA where there is one, a GPU for each process of torchrun, else one thread of the CPU; deterministic on either."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with a fixed workspace
    torch.set_num_threads(1)  # another number of threads sums in another order
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # every one with NaN: a third of a step
    if (kind or ("cuda" if torch.cuda.is_available() else "cpu")) == "cpu":
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


@contextmanager
def in_any_order() -> Iterator[None]:
    """For writes whose places differ, or whose values are equal: they repeat as they are, and CUDA need not sort them first."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def moved(array: NDArray[Any], device: torch.device) -> Tensor:
    """The array on the device: on the CPU its own memory, to CUDA a copy by way of pinned memory, and the caller goes on."""
    shared = torch.from_numpy(array)
    return shared if device.type == "cpu" else shared.pin_memory().to(device, non_blocking=True)
