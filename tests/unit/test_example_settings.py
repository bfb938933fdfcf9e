"""``.env.example`` names every setting of every service, and no other."""

import re

from infra.local import example
from infra.local.settings import ROOT

NAME = re.compile(r"^#(FRESHET_[A-Z0-9_]+)=", re.MULTILINE)


def test_the_file_is_what_the_settings_say() -> None:
    written = (ROOT / ".env.example").read_text()
    assert written == example.text(), "run: python -m infra.local.example > .env.example"


def test_every_declared_setting_is_in_it_and_every_name_in_it_is_declared() -> None:
    declared = {f"FRESHET_{name.upper()}" for module in example.modules() for name, _, _ in example.declared(module)}
    assert set(NAME.findall((ROOT / ".env.example").read_text())) == declared
