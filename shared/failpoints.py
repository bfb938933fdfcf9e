"""Named places where a fault test may kill the process: what proves that a kill at any moment costs time, never truth.

``FRESHET_FAILPOINT=name`` kills at the first pass of that place, ``name:3`` at the third. Without the variable a place costs one
comparison. Kills are SIGKILL: no handler runs, nothing is flushed, as when a machine is lost.
"""

import os
import signal
from collections import Counter

ENVIRONMENT = "FRESHET_FAILPOINT"


def parse(value: str) -> tuple[str, int]:
    """The place's name and which pass of it kills, counted from 1.

    Raises:
        ValueError: the part after the colon is no whole number from 1.
    """
    name, _, nth = value.partition(":")
    passes = int(nth or 1)
    if passes < 1:
        raise ValueError(f"{ENVIRONMENT}={value!r}: passes are counted from 1")
    return name, passes


_name, _nth = parse(os.environ.get(ENVIRONMENT, ""))
_passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Die here if a fault test asked for it; otherwise do nothing."""
    if not _name or name != _name:
        return
    _passed[name] += 1
    if _passed[name] == _nth:
        os.kill(os.getpid(), signal.SIGKILL)
