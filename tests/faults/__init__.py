"""Kills, freezes and outages under load. ``FRESHET_FAULT_ROUNDS`` says how often each is done: 5, and 20 in ``make faults``."""

import os

import pytest

ROUNDS = int(os.environ.get("FRESHET_FAULT_ROUNDS", "5"))
MARKS = [pytest.mark.engines, pytest.mark.timeout(360 * ROUNDS)]
