"""``python -m tests test|lint|faults|bench``: every check in order, then one summary. Make and CI call this."""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from infra.local.engines import CREDENTIALS
from tests.bench import OWN

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


class Outcome(NamedTuple):
    """What became of a check."""

    name: str
    result: str
    """``passed``, ``FAILED`` or ``skipped``."""
    seconds: float
    notes: tuple[str, ...] = ()
    """What of it did not run, and why; what ran on a stand-in for the real thing."""


@dataclass(frozen=True, slots=True)
class Check:
    """A command that must end with 0."""

    name: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()

    def run(self) -> Outcome:
        """Run it with its output shown; a program that is not installed is a check that is skipped."""
        print(f"── {self.name}", flush=True)
        program, *arguments = self.command
        if not (BIN / program).exists():
            return Outcome(self.name, "skipped", 0.0, (f"skipped  {self.name}: {program} is not here",))
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            if program == "pytest":
                arguments.append(f"--junit-xml={report}")
            environment = {**os.environ, **dict(self.environment)}
            passed = subprocess.run([BIN / program, *arguments], cwd=ROOT, env=environment).returncode == 0
            notes = tuple(notes_of(report)) if report.exists() else ()
        return Outcome(self.name, "passed" if passed else "FAILED", time.monotonic() - began, notes)


def notes_of(report: Path) -> Iterator[str]:
    """The tests of a JUnit report that were skipped, with the reason, and those that passed on a stand-in."""
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname', '')}.{case.get('name', '')}"
        if (skipped := case.find("skipped")) is not None:
            yield f"skipped  {name}: {skipped.get('message')}"
        elif "on_a_stand_in_for" in name and len(case.findall("failure")) + len(case.findall("error")) == 0:
            yield f"on a stand-in  {name}"


TWO_AT_ONCE = ("-n", "2", "--dist", "worksteal")
"""Tests side by side, each worker on engines of its own: a fault test mostly waits for what was killed to come back."""
BY_FILE = ("-n", "2", "--dist", "loadfile")
"""The same, file by file: what a file's tests share is made once."""
ENGINES = ("tests/contracts", "tests/integration", "-m", "engines")

COMPOSE_BESIDE = ("infra/images/development.yml", "infra/images/outward.yml")

LINT = [
    Check("ruff check", ("ruff", "check", ".")),
    Check("ruff format", ("ruff", "format", "--check", ".")),
    Check("mypy --strict", ("mypy",)),
    Check("import rules", ("lint-imports",)),
    Check("shell scripts", ("shellcheck", ".ci/run", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("infra/**/*.sh")))),
    Check("YAML", ("yamllint", "--strict", "docker-compose.yml", "infra", "feature_repo")),
    Check("Dockerfile", ("hadolint", "infra/images/Dockerfile")),
    Check(
        "compose files against the specification",
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml", *COMPOSE_BESIDE),
    ),
]
TESTS = [
    Check("unit and contracts", ("pytest", "tests/unit", "tests/contracts", "-m", "not engines", *BY_FILE)),
    Check("contracts and integration on real engines", ("pytest", *ENGINES, *BY_FILE)),
    Check("faults", ("pytest", "tests/faults", *TWO_AT_ONCE)),
    Check("end to end", ("pytest", "tests/e2e", *BY_FILE)),
    Check("compose, images, observability, Terraform", ("pytest", "tests/compose", "tests/terraform", *BY_FILE)),
]
BENCHES = ("learner", "features", "features --memory", "joiner", "collector", "rank", "swap", "freshness", "demo_gain", "start")
"""Each prints its figures, beside what is to be reached where there is such a thing, and ends with 1 where it is missed."""
SUITES = {
    "lint": LINT,
    "test": [*LINT, *TESTS],
    "faults": [Check("faults, 20 rounds each", ("pytest", "tests/faults", *TWO_AT_ONCE), (("FRESHET_FAULT_ROUNDS", "20"),))],
    "bench": [
        *(Check(name, ("python", "-m", *f"tests.bench.{name}".split())) for name in BENCHES),
        Check("demo", ("python", "-m", "tests.bench.demo", "--keep")),
        Check("delta_size, of the demo's bundles", ("python", "-m", "tests.bench.delta_size"), tuple(CREDENTIALS.items())),
        Check("down", ("freshet", "down"), tuple(OWN.items())),
    ],
}


def main(suite: str) -> int:
    """Run a suite to its end, whatever fails; 0 when none failed."""
    outcomes = [check.run() for check in SUITES[suite]]
    print(f"\n── summary of {suite}")
    for one in outcomes:
        print(f"{one.result}  {one.seconds:6.1f} s  {one.name}")
    notes = [note for one in outcomes for note in one.notes]
    skipped = sum(note.startswith("skipped") for note in notes)
    print(f"── did not run: {skipped}; ran on a stand-in: {len(notes) - skipped}")
    print("\n".join(notes))
    return 1 if any(one.result == "FAILED" for one in outcomes) else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in SUITES:
        sys.exit(f"usage: python -m tests {'|'.join(SUITES)}")
    sys.exit(main(sys.argv[1]))
