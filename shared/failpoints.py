"""Named places where a fault test may kill or freeze the process: what proves that either costs time, never truth.

``FRESHET_FAILPOINT=name`` kills at the first pass of that place, ``name:3`` at the third; ``name:3:freeze`` freezes there until
somebody sends SIGCONT. Without the variable a place costs one comparison. Kills are SIGKILL: no handler runs, nothing is flushed,
as when a machine is lost.
"""

import os
import signal
from collections import Counter

ENVIRONMENT = "FRESHET_FAILPOINT"


def parse(value: str) -> tuple[str, int, signal.Signals]:
    """The place's name, which pass of it, counted from 1, and the signal that is sent there.

    Raises:
        ValueError: the second part is no whole number from 1, or the third is not ``freeze``.
    """
    name, nth, how = (*value.split(":"), "", "")[:3]
    passes = int(nth or 1)
    if passes < 1:
        raise ValueError(f"{ENVIRONMENT}={value!r}: passes are counted from 1")
    if how not in ("", "freeze"):
        raise ValueError(f"{ENVIRONMENT}={value!r}: a place kills, or it says freeze")
    return name, passes, signal.SIGSTOP if how else signal.SIGKILL


_name, _nth, _signal = parse(os.environ.get(ENVIRONMENT, ""))
_passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Die or freeze here if a fault test asked for it; otherwise do nothing."""
    if not _name or name != _name:
        return
    _passed[name] += 1
    if _passed[name] == _nth:
        os.kill(os.getpid(), _signal)
