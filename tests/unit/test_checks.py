"""The summary of ``make test``: a check that cannot run is named and counted, one that fails fails the whole."""

from pathlib import Path

import pytest

from tests import __main__ as checks
from tests.__main__ import Check, notes_of

REPORT = """\
<testsuites><testsuite>
  <testcase classname="tests.one" name="test_runs"/>
  <testcase classname="tests.one" name="test_needs_docker"><skipped message="docker is not here"/></testcase>
  <testcase classname="tests.one" name="test_on_a_stand_in_for_aws"/>
  <testcase classname="tests.one" name="test_fails_on_a_stand_in"><failure message="no"/></testcase>
</testsuite></testsuites>
"""


def test_what_was_skipped_or_ran_on_a_stand_in_is_named(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT)
    assert list(notes_of(tmp_path / "report.xml")) == [
        "skipped  tests.one.test_needs_docker: docker is not here",
        "on a stand-in  tests.one.test_on_a_stand_in_for_aws",
    ]


@pytest.mark.parametrize("program", ["python", "no-such-program"])
def test_a_check_that_is_not_installed_is_counted(
    program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(checks.SUITES, "lint", [Check("the check", (program, "-c", "pass"))])
    assert checks.main("lint") == 0
    absent = program != "python"
    assert f"did not run: {int(absent)};" in (shown := capsys.readouterr().out)
    assert ("the check: no-such-program is not here" in shown) == absent


def test_a_check_that_fails_fails_all(monkeypatch: pytest.MonkeyPatch) -> None:
    fails = Check("one", ("python", "-c", "raise SystemExit(3)"))
    monkeypatch.setitem(checks.SUITES, "lint", [fails, Check("two", ("python", "-c", "pass"))])
    assert checks.main("lint") == 1
