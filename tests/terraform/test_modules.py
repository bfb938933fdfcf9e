"""The modules as text: tables that are true, no dead variable, a description for everything."""

import re
from pathlib import Path

import pytest

from tests.terraform.tables import TERRAFORM, USED, argument, blocks, modules, text

SUITES = [path.read_text() for path in (TERRAFORM / "tests").glob("*.tftest.hcl")]
NAMES = [str(module.relative_to(module.parents[1])) for module in modules()]


@pytest.mark.parametrize("module", modules(), ids=NAMES)
def test_a_readme_says_what_goes_in_and_out(module: Path) -> None:
    assert (module / "README.md").read_text() == text(module), "run: python -m tests.terraform.tables"


@pytest.mark.parametrize("module", modules(), ids=NAMES)
def test_every_variable_is_described_typed_and_used(module: Path) -> None:
    code = "\n".join(path.read_text() for path in module.glob("*.tf"))
    for name, body in blocks(module, "variable"):
        assert argument(body, "description"), f"{name} has no description"
        assert argument(body, "type"), f"{name} has no type"
        own = USED.findall(body).count(name)
        assert USED.findall(code).count(name) > own, f"nothing uses {name}"


@pytest.mark.parametrize("module", modules(), ids=NAMES)
def test_every_output_is_described(module: Path) -> None:
    assert all(argument(body, "description") for _, body in blocks(module, "output"))


@pytest.mark.parametrize("module", modules(), ids=NAMES)
def test_every_check_that_is_left_out_says_why(module: Path) -> None:
    for path in module.glob("*.tf"):
        for skipped in re.findall(r"checkov:skip=(.*)", path.read_text()):
            assert re.fullmatch(r"CKV2?_AWS_\d+:.{20,}", skipped), f"{path}: {skipped}"


def test_the_page_counts_what_terraform_s_own_tests_hold() -> None:
    runs, assertions, refusals = (
        sum(len(re.findall(what, suite, re.MULTILINE)) for suite in SUITES)
        for what in (r"^run ", r"^  assert \{", "expect_failures")
    )
    assert f"{runs} runs, {assertions} assertions and {refusals} refusals" in (TERRAFORM / "README.md").read_text()
