"""Kills, freezes and outages under load. ``FRESHET_FAULT_ROUNDS`` says how often a service is killed at each named point and at
random: 5, and 20 in ``make faults``; freezes, and outages of the engines, which last longer, are done a part of that often."""

import os

import pytest

ROUNDS = int(os.environ.get("FRESHET_FAULT_ROUNDS", "5"))
MARKS = [pytest.mark.engines, pytest.mark.timeout(360 * ROUNDS)]
