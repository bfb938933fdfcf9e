"""A failpoint kills at the pass that was asked for, and nowhere else."""

import os
import signal
import subprocess
import sys

import pytest

from shared.failpoints import ENVIRONMENT, parse

PROGRAM = "from shared.failpoints import failpoint\nfor n in range(3): failpoint('plan'); print(n, flush=True); failpoint('learn')"


def run(failpoint: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, ENVIRONMENT: failpoint}, capture_output=True, text=True, check=False
    )


def test_without_the_variable_nothing_happens() -> None:
    assert run("").returncode == 0


def test_kills_at_the_first_pass() -> None:
    assert (run("learn").returncode, run("learn").stdout) == (-signal.SIGKILL, "0\n")


def test_kills_at_the_nth_pass() -> None:
    assert (run("plan:3").returncode, run("plan:3").stdout) == (-signal.SIGKILL, "0\n1\n")


def test_refuses_a_pass_below_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        parse("plan:0")


def test_freezes_where_that_was_asked_for_and_refuses_anything_else() -> None:
    assert parse("plan:2:freeze") == ("plan", 2, signal.SIGSTOP)
    with pytest.raises(ValueError, match="it says freeze"):
        parse("plan:2:sleep")
