"""``python -m tests test|lint|faults|bench``: every check in order, then one summary. Make and CI call this."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from infra.local.engines import CREDENTIALS

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Check:
    """A command that must end with 0."""

    name: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()

    def run(self) -> bool:
        """Run it with its output shown; whether it passed."""
        print(f"── {self.name}", flush=True)
        environment = {**os.environ, **dict(self.environment)}
        return subprocess.run([BIN / self.command[0], *self.command[1:]], cwd=ROOT, env=environment).returncode == 0


TWO_AT_ONCE = ("-n", "2", "--dist", "worksteal")
"""Tests side by side, each worker on engines of its own: a fault test mostly waits for what was killed to come back."""

LINT = [
    Check("ruff check", ("ruff", "check", ".")),
    Check("ruff format", ("ruff", "format", "--check", ".")),
    Check("mypy --strict", ("mypy",)),
    Check("import rules", ("lint-imports",)),
]
TESTS = [
    Check("unit and contracts", ("pytest", "tests/unit", "tests/contracts", "-m", "not engines")),
    Check("contracts and integration on real engines", ("pytest", "tests/contracts", "tests/integration", "-m", "engines")),
    Check("faults", ("pytest", "tests/faults", *TWO_AT_ONCE)),
    Check("end to end", ("pytest", "tests/e2e")),
    Check("compose, images, observability, Terraform", ("pytest", "tests/compose", "tests/terraform")),
]
BENCHES = ("learner", "features", "joiner", "collector", "rank", "swap", "freshness", "demo_gain")
"""Each prints its figures beside what is to be reached, and ends with 1 where it is missed."""
SUITES = {
    "lint": LINT,
    "test": [*LINT, *TESTS],
    "faults": [Check("faults, 20 rounds each", ("pytest", "tests/faults", *TWO_AT_ONCE), (("FRESHET_FAULT_ROUNDS", "20"),))],
    "bench": [
        *(Check(name, ("python", "-m", f"tests.bench.{name}")) for name in BENCHES),
        Check("demo", ("freshet", "demo", "--keep")),
        Check("delta_size, of the demo's bundles", ("python", "-m", "tests.bench.delta_size"), tuple(CREDENTIALS.items())),
        Check("down", ("freshet", "down")),
    ],
}


def main(suite: str) -> int:
    """Run a suite to its end, whatever fails; 0 when all passed."""
    results = []  # (name, passed, seconds)
    for check in SUITES[suite]:
        started = time.monotonic()
        results.append((check.name, check.run(), time.monotonic() - started))
    print(f"\n── summary of {suite}")
    for name, passed, seconds in results:
        print(f"{'passed' if passed else 'FAILED'}  {seconds:6.1f} s  {name}")
    return 0 if all(passed for _, passed, _ in results) else 1


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in SUITES:
        sys.exit(f"usage: python -m tests {'|'.join(SUITES)}")
    sys.exit(main(sys.argv[1]))
