"""The demo's options reach both who imports the shop's past and who plays its future."""

import pytest

from infra.local import base
from infra.local.demo import shop
from shared.errors import BadInput


def test_options_become_the_shoppers_variables() -> None:
    assert shop(["--seconds", "60", "--households=20"]) == {"FRESHET_SHOPPER_SECONDS": "60", "FRESHET_SHOPPER_HOUSEHOLDS": "20"}


@pytest.mark.parametrize("arguments", [["--second", "60"], ["--seconds"], ["60"]])
def test_what_is_no_option_is_said(arguments: list[str]) -> None:
    with pytest.raises(BadInput, match=r"is no setting of the shopper with a value; there is .*--seconds"):
        shop(arguments)


def test_another_sample_of_the_shop_needs_another_base(monkeypatch: pytest.MonkeyPatch) -> None:
    before = base.fingerprint()
    monkeypatch.setenv("FRESHET_SHOPPER_RATE", "7")
    assert base.fingerprint() == before
    monkeypatch.setenv("FRESHET_SHOPPER_HOUSEHOLDS", "20")
    assert base.fingerprint() != before
