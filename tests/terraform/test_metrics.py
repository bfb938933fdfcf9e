"""What CloudWatch scales, warns and draws on is exported by a service, and sent there."""

import re

from tests.compose.exported import exported
from tests.terraform.tables import TERRAFORM

MODULES = TERRAFORM / "modules"
OURS = re.compile(r'metric(?:_name)?\s*= "([a-z][a-z0-9_]*)"|"Freshet", "(\w+)"')


def sent() -> set[str]:
    """The metrics that each task's collector sends to CloudWatch."""
    listed = re.search(r"names = \[(.*)\]", (MODULES / "freshet" / "main.tf").read_text())
    assert listed
    return set(re.findall(r'"(\w+)"', listed[1]))


def used(module: str) -> set[str]:
    """Our metrics (those of AWS begin with a capital) that a module asks for."""
    text = "\n".join(path.read_text() for path in (MODULES / module).glob("*.tf"))
    return {alarm or chart for alarm, chart in OURS.findall(text)}


def test_what_is_sent_to_cloudwatch_is_exported() -> None:
    assert sent() <= exported().keys()


def test_what_scales_warns_and_is_drawn_is_sent_and_nothing_else() -> None:
    scales, warns, drawn = used("service"), used("alarms"), used("dashboards")
    assert all((scales, warns, drawn))
    assert scales | warns | drawn == sent()
