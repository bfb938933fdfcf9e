"""``python -m tests.bench.start``: how soon a stack that was used before is ready again. Its state is the benches' own."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.bench import OWN
from tests.bench.goals import Goal, judged


def freshet(command: str) -> float:
    """Run it; its seconds."""
    began = time.monotonic()
    subprocess.run([Path(sys.executable).with_name("freshet"), command], env=os.environ | OWN, check=True)
    return time.monotonic() - began


def main() -> int:
    """0 when it is soon enough."""
    try:
        freshet("up")
        freshet("down")
        return judged(Goal("seconds until all services are ready, second start", freshet("up"), 30))
    finally:
        freshet("down")


if __name__ == "__main__":
    sys.exit(main())
