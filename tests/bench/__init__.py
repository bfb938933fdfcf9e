"""Figures: each command measures one, beside what it is compared with."""

from infra.local.settings import ROOT

OWN = {"FRESHET_STATE": str(ROOT / ".state" / "bench")}
"""A stack's state that no bench shares with the user's own."""
