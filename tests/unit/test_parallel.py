"""Two processes over Gloo learn as one: the same weights in both, and those of one process but for the order of the sums."""

import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests import parallel

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    """What each of two processes learned."""
    folder = tmp_path_factory.mktemp("together")
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*run, "-m", "tests.parallel", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [load_file(folder / f"{rank}.safetensors") for rank in range(2)]


def test_both_processes_hold_the_same_bits(shared: list[dict[str, np.ndarray]]) -> None:
    one, other = shared
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


def test_the_weights_are_those_of_one_process(shared: list[dict[str, np.ndarray]]) -> None:
    life = parallel.alone()
    assert life.student.position.window == 5
    expected = parallel.weights(life.student.learner)
    assert shared[0].keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(shared[0][name], array, rtol=0, atol=TOLERANCE, err_msg=name)


def test_learning_moved_far_more_than_the_tolerance(shared: list[dict[str, np.ndarray]]) -> None:
    before = parallel.weights(parallel.a_life().student.learner)
    for name in ("tables/user.values", "dense/layers.0.weight"):
        assert np.abs(shared[0][name][: len(before[name])] - before[name]).max() > 100 * TOLERANCE
