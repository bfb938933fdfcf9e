"""Every setting that a service reads is in Terraform, and Terraform names no other."""

import importlib
import re

import pytest

from infra.local.settings import ROOT
from tests.terraform.tables import TERRAFORM

KINDS = ("collector", "features", "joiner", "ranking", "updater")
NOT_ON_AWS = {
    "FRESHET_JOURNEY_CACHE": "the demo shop's files",
}
"""Settings of a service's section of ``.env.example`` that no AWS task gets, and why."""
SECTION = re.compile(r"^# --- (.+)$", re.MULTILINE)
EXAMPLE = re.compile(r"^#?(FRESHET_[A-Z0-9_]+)=", re.MULTILINE)
ASSIGNED = re.compile(r"^ +(FRESHET_[A-Z0-9_]+) +=", re.MULTILINE)


def example() -> dict[str, set[str]]:
    """Section of ``.env.example`` → its settings."""
    _, *parts = SECTION.split((ROOT / ".env.example").read_text())
    return {name.removeprefix("services/"): set(EXAMPLE.findall(body)) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def given() -> dict[str, set[str]]:
    """Kind of service (or ``shared``) → settings of the module's map."""
    text = (TERRAFORM / "modules" / "settings" / "main.tf").read_text()
    blocks = re.findall(r"^ +(shared|" + "|".join(KINDS) + r") = \{\n(.*?)^ +\}", text, re.MULTILINE | re.DOTALL)
    return {kind: set(ASSIGNED.findall(body)) for kind, body in blocks}


@pytest.mark.parametrize("kind", ["shared", *KINDS])
def test_terraform_gives_what_the_service_reads_and_nothing_else(kind: str) -> None:
    assert given()[kind] == example()[kind] - NOT_ON_AWS.keys()


def test_no_section_is_forgotten() -> None:
    """A new section of ``.env.example`` is either given on AWS or named here."""
    local_only = {"shared/datasets", "shopper", "infra/local", "infra/images", "infra/compose", "docker-compose.yml", "not ours"}
    assert example().keys() - local_only == {"shared", *KINDS}


def test_what_is_left_out_exists() -> None:
    assert NOT_ON_AWS.keys() <= set().union(*example().values())


def test_every_value_that_terraform_fixes_is_taken_by_the_settings() -> None:
    """The constants of the map, as the services would read them."""
    text = (TERRAFORM / "modules" / "settings" / "main.tf").read_text()
    fixed = dict(re.findall(r'^ +FRESHET_([A-Z0-9_]+) += "([^"$]*)"', text, re.MULTILINE))
    for kind in KINDS:
        module = importlib.import_module(f"services.{kind}.settings")
        settings = getattr(module, f"{kind.capitalize()}Settings")
        known = {name.lower(): value for name, value in fixed.items() if name.lower() in settings.model_fields}
        read = settings(**known)
        assert {name: str(getattr(read, name)) for name in known} == known
