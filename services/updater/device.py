"""Where the model lives, chosen in one place, and what makes its arithmetic repeat bit for bit."""

import os

import torch


def choose() -> torch.device:
    """CUDA where there is one, else one thread of the CPU; deterministic algorithms on either."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with a fixed workspace
    torch.set_num_threads(1)  # another number of threads sums in another order
    torch.use_deterministic_algorithms(True)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
