"""What makes the arithmetic of every unit test repeat itself."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Another number of threads sums in another order."""
    torch.set_num_threads(1)
