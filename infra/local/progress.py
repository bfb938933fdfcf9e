"""What a person sees while the stack starts and stops: a line for each step, with the time it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

console = Console(width=None if sys.stdout.isatty() else 160)
"""Wide where nobody looks: what is read by a program is not to be folded."""


class Steps:
    """Steps one after another; their times make the cold start's budget."""

    def __init__(self, output: Console = console) -> None:
        self.output = output
        self.seconds: dict[str, float] = {}
        """Step → how long it took, in order."""

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Show that a step runs, and then how long it took."""
        started = time.monotonic()
        try:
            with self.output.status(f"{name} …"):
                yield
        except BaseException:
            self.output.print(f"[red]✗[/red] {name}")
            raise
        self.seconds[name] = round(time.monotonic() - started, 1)
        self.output.print(f"[green]✓[/green] {name}  [dim]{self.seconds[name]:.1f} s[/dim]")
