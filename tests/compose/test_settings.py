"""Every setting reaches its service, and every variable of the compose file is explained in ``.env.example``."""

import importlib

import pytest

from services.updater.settings import HistorySettings, UpdaterSettings
from shared.settings import Settings
from tests.compose.project import example, services, variables

SETTINGS = {
    name: getattr(importlib.import_module(f"services.{name}.settings"), f"{name.capitalize()}Settings")
    for name in ("collector", "features", "joiner", "ranking", "shopper", "updater")
}
OTHER = {
    ("shopper", "FRESHET_COLLECTOR"),
    ("features", "FRESHET_FEATURES_INSTANCE"),  # the container's host name, so that replicas differ
    ("joiner", "FRESHET_JOINER_INSTANCE"),
}


def names(settings: type[Settings]) -> set[str]:
    return {f"FRESHET_{field.upper()}" for field in settings.model_fields}


@pytest.mark.parametrize("name", [*SETTINGS, "updater-gpu"])
def test_a_service_is_told_every_setting_that_it_reads_and_no_other(name: str) -> None:
    service = name.removesuffix("-gpu")
    told = {key for key in services()[name]["environment"] if key.startswith("FRESHET_")}
    left_out = {variable for owner, variable in OTHER if owner == service} - told
    assert told | left_out == names(SETTINGS[service])


def test_history_is_told_what_it_reads_and_not_the_updaters_tempos() -> None:
    told = {key for key in services()["history"]["environment"] if key.startswith("FRESHET_")}
    own = names(HistorySettings) - names(UpdaterSettings)
    assert told == names(Settings) | own | {"FRESHET_SIGNING_KEY", "FRESHET_TEXTS", "FRESHET_UPDATER_ENCODER"}


def test_every_variable_is_explained_in_the_example() -> None:
    assert set(variables()) - {"COMPOSE_PROJECT_NAME"} <= set(example())


def test_what_must_be_given_has_no_default_and_secrets_no_value() -> None:
    for name, ways in variables().items():
        assert not (":?" in ways and len(ways) > 1), name
        if name.endswith(("_PASSWORD", "_SECRET_ACCESS_KEY")):
            assert ways == {":?"}, name
            assert not example()[name], name
        if name.endswith("_IMAGE"):
            assert ways == {":?"}, name
            assert example()[name], name
