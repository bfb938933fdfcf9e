"""How a command shows what it found, and how many of them."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

Newest = Annotated[int, typer.Option("--newest", min=1, help="how many")]


def table(*columns: str) -> Table:
    """An empty table; versions and times are never wrapped."""
    made = Table()
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in ("version", "parent", "time", "made", "origin"))
    return made


def at(seconds: float) -> str:
    """Seconds since 1970 as date and time in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
