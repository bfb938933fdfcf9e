"""On CUDA no step waits for the GPU: the same is asked of a device that holds no values, where every read fails."""

from functools import partial

import pytest
import torch

from services.updater.learning import device
from services.updater.learning.learner import Learner
from tests import learning
from tests.bench import learner as bench

NO_VALUES = torch.device("meta")


def test_learning_a_window_reads_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)  # which needs a driver
    monkeypatch.setattr(torch.optim, "AdamW", lambda weights, *, lr, **_: torch.optim.SGD(weights, lr))  # fused needs a GPU
    learner = Learner(learning.task(), learning.INPUTS, learning.assortment(), NO_VALUES)
    for number in range(2):
        learner.learn(learning.window(20 * number), number)
    assert learner.tables.values.device == NO_VALUES
    assert learner.tables.touched.any()


def test_a_read_of_such_a_device_fails() -> None:
    for read in (torch.Tensor.cpu, torch.Tensor.item, bool, partial(torch.Tensor.to, device="cpu")):
        with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
            read(torch.zeros(1, device=NO_VALUES))


def test_the_cpu_is_chosen_where_it_is_named_or_there_is_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.choose() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", lambda one: None)
    assert device.choose("cpu") == torch.device("cpu")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert device.choose() == torch.device("cuda", 1)


def test_the_bench_says_that_there_is_no_gpu_and_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench.main(["--device", "cuda"]) == 0
    assert capsys.readouterr().out == "skipped: torch finds no CUDA device here, so that nothing was measured\n"


def test_on_cuda_the_bench_waits_for_the_gpu_at_either_end_of_what_it_times(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: order.append("waited"))
    clock = bench.Clock(torch.device("cuda"))
    assert clock.timed("learn", lambda: order.append("queued") or 3) == 3  # type: ignore[func-returns-value]
    assert order == ["waited", "queued", "waited"]
    assert clock.spent["learn"] >= 0


def test_the_bench_measures_both_learners_on_the_same_batches(capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["--rows", "40", "--windows", "2"])
    told = capsys.readouterr().out
    for step in ("make the batch", "predict", "learn ", "learn with SparseAdam"):
        assert f"\n{step}" in told
    assert "rows learned a second" in told
