"""What is proposed: inside the space, the same for the same results, and near what has gained."""

import builtins
from typing import Any

import msgspec
import numpy as np
import pytest

from services.updater.race import proposals
from services.updater.race.proposals import SPACE, propose
from services.updater.race.standings import Standing
from shared.errors import BadSettings
from shared.tasks import LearningSettings


def after(*results: tuple[float, float]) -> Standing:
    """A race in which challengers of these row rates gained so much and left."""
    standing = Standing.of(LearningSettings(admission={"user": 2}))
    for rate, gain in results:
        ((name, settings),) = standing.named([LearningSettings(row_rate=rate)]).items()
        standing = standing.enter(name, settings, 1)
        standing = standing.count({name: np.full(100, gain)}).leave(name)
    return standing


def test_what_is_proposed_lies_in_the_space_and_keeps_what_is_not_tried() -> None:
    settings = propose(after())
    assert all(low <= getattr(settings, name) <= high for name, (low, high) in SPACE.items())
    assert settings.admission == {"user": 2}
    assert msgspec.structs.replace(settings, **{name: getattr(LearningSettings(), name) for name in SPACE}) == LearningSettings(
        admission={"user": 2}
    )


def test_the_same_results_propose_the_same_and_other_results_another() -> None:
    assert propose(after((0.01, 0.1))) == propose(after((0.01, 0.1)))
    assert propose(after((0.01, 0.1))) != propose(after((0.01, 0.1), (0.1, 0.0)))


def test_what_runs_is_not_proposed_again() -> None:
    standing = after((0.01, 0.1))
    running = standing.enter("next", propose(standing), 2)
    assert propose(running) not in running.known()


def test_proposals_gather_where_the_gains_were() -> None:
    rates = np.geomspace(*SPACE["row_rate"], 24).tolist()
    good = after(*((rate, -abs(np.log(rate / 0.01))) for rate in rates))
    proposed = [propose(msgspec.structs.replace(good, tests=100 + n)).row_rate for n in range(12)]
    assert 0.004 < np.median(proposed) < 0.025  # the middle of the space is 0.03


def test_without_optuna_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "optuna":
            raise ImportError(name)
        return real(name, *rest, **more)

    proposals._optuna.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadSettings, match="install the extra `tuning`"):
        propose(after())
