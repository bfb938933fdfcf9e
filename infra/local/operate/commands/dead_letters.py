"""``freshet dead-letters``: records that nobody could use."""

import asyncio
from typing import Annotated

import typer

from infra.local.console import plainly, read_settings
from infra.local.operate import dead_letters as letters
from infra.local.operate.commands.tables import Newest, table
from infra.local.progress import console

app = typer.Typer(no_args_is_help=True, help="Records that nobody could use.")


@app.command("list")
def list_letters(reason: str = "", service: str = "", newest: Newest = 20) -> None:
    """How many there are by reason, and the newest of them."""
    with plainly():
        found = asyncio.run(letters.letters(read_settings(), reason, service))
        counted = table("service", "reason", "topic", "records")
        for (by, why, topic), count in letters.counts(found).items():
            counted.add_row(by, why, topic, f"{count:,}")
        rows = table("time", "origin", "reason", "detail")
        for one in found[-newest:]:
            origin = f"{one.origin.topic}/{one.origin.partition}@{one.origin.offset}"
            rows.add_row(f"{one.time:%Y-%m-%d %H:%M:%S}", origin, one.reason, one.detail)
        console.print(counted, rows)


@app.command("replay")
def replay_letters(
    reason: Annotated[str, typer.Option("--reason", help="of the records to send again")],
    service: str = "",
    yes: Annotated[bool, typer.Option("--yes", help="send; without it, only say what would be sent")] = False,
) -> None:
    """Send records of one reason to their topics again, once its cause is mended."""
    with plainly():
        read = read_settings()
        found = asyncio.run(letters.letters(read, reason, service))
        if not yes:
            console.print(f"{len(found)} records would be sent again: add --yes")
            return
        console.print(f"{asyncio.run(letters.send_again(read, found))} records were sent again")
