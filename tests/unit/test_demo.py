"""The demo's options reach both who imports the shop's past and who plays its future."""

import socket
from unittest.mock import Mock

import pytest

from infra.local import base, demo
from infra.local.demo import shop
from shared.errors import BadInput, BadSettings


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


def test_a_demo_on_engines_that_hold_a_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Mock(owns_engines=False)
    monkeypatch.setenv("FRESHET_SHOPPER_PORT", "0")
    monkeypatch.setattr(base, "load", Mock())
    monkeypatch.setattr(base, "make", Mock(return_value=False))
    with pytest.raises(BadSettings, match="your engines hold a model already"):
        demo.run(stack, Mock())
    stack.start_services.assert_not_called()


def test_the_shoppers_port_is_asked_for_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Mock()
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("FRESHET_SHOPPER_PORT", str(other.getsockname()[1]))
        with pytest.raises(BadSettings, match="which shopper needs, is taken by"):
            demo.run(stack, Mock())
    stack.start_engines.assert_not_called()
