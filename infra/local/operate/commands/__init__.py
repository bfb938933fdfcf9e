"""The operators' commands, a module for each noun: ``freshet bundles``, ``windows``, ``challengers``, ``dead-letters``, ``lag``."""

import typer

from infra.local.operate.commands import bundles, challengers, dead_letters, lag, windows


def register(app: typer.Typer) -> None:
    """Add them to a command line."""
    for noun, module in (("bundles", bundles), ("windows", windows), ("dead-letters", dead_letters)):
        app.add_typer(module.app, name=noun)
    for noun, show in (("challengers", challengers.show), ("lag", lag.show)):
        app.command(noun)(show)
