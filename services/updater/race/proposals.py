"""Proposes the next challenger's settings from the results so far, by Optuna's tree-structured Parzen estimator."""

from functools import cache
from typing import Any

import msgspec

from services.updater.race.standings import Entrant, Standing
from shared.errors import BadSettings
from shared.tasks import LearningSettings

SPACE: dict[str, tuple[float, float]] = {
    "row_rate": (0.003, 0.3),
    "row_decay": (0.9, 1.0),
    "dense_rate": (1e-4, 1e-2),
    "weight_decay": (1e-4, 0.1),
    "dropout": (0.0, 0.3),
}
"""What is tried, and between which values; everything else stays the champion's."""
LOGARITHMIC = ("row_rate", "dense_rate", "weight_decay")
STARTUP = 4
"""Results before the estimator takes over from chance."""


def propose(standing: Standing) -> LearningSettings:
    """Settings that are worth trying next; the same standing proposes the same.

    A result is a configuration with its gain over the first champion, nats a row. What still runs counts as bad so far, so that
    two challengers are not alike (the "constant liar" of Ginsbourger et al., 2010).

    Raises:
        BadSettings: Optuna is not installed.
    """
    optuna = _optuna()
    sampler = optuna.samplers.TPESampler(seed=standing.tests, n_startup_trials=STARTUP, constant_liar=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = {name: optuna.distributions.FloatDistribution(*span, log=name in LOGARITHMIC) for name, span in SPACE.items()}
    done, running = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.RUNNING
    for one in (*standing.past, standing.champion):
        study.add_trial(optuna.create_trial(params=_tried(one), distributions=space, value=one.value, state=done))
    for one in standing.challengers:
        study.add_trial(optuna.create_trial(params=_tried(one), distributions=space, state=running))
    return msgspec.structs.replace(standing.champion.settings, **study.ask(space).params)


def _tried(one: Entrant) -> dict[str, float]:
    """What it tried, as near as the space comes."""
    return {name: min(max(getattr(one.settings, name), low), high) for name, (low, high) in SPACE.items()}


@cache
def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise BadSettings("proposed challengers need Optuna: install the extra `tuning`, or let the race propose none") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
