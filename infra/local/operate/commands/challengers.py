"""``freshet challengers``: who learns beside the champion."""

from infra.local.console import plainly, read_settings
from infra.local.operate import challengers as racing
from infra.local.operate.commands.tables import table
from infra.local.progress import console
from shared.bundles.storage import Storage
from shared.tasks import task


def show() -> None:
    """Who learns beside the champion, and what it gained, as the newest checkpoint tells it."""
    with plainly():
        read = read_settings()
        progress = racing.newest(Storage.connect(read))
        shown = table("name", "role", "since window", "lists", "gain", "interval", "settings")
        for row in racing.rows(task(read.task), progress.race):
            gain = "" if row.gain is None else f"{row.gain:+.5f}"
            interval = "{:+.5f} to {:+.5f}".format(*row.interval) if row.interval else ""
            shown.add_row(row.name, row.role, str(row.window), f"{row.lists:,}", gain, interval, row.settings)
        console.print(shown)
        console.print(f"as of window {progress.window}; gains are log loss, nats a row, over the champion of that time")
