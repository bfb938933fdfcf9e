"""What every command of ``freshet`` shares: its settings, its stack, and errors that are one sentence."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from infra.local.progress import Steps, console
from infra.local.settings import StackSettings
from infra.local.stack import Stack
from shared.errors import FreshetError


@contextmanager
def plainly() -> Iterator[None]:
    """An error that we raise on purpose is one sentence, not a traceback."""
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # its own words about the same thing
    try:
        yield
    except FreshetError as error:
        console.print(f"[red]{error}[/red]", soft_wrap=True)
        raise typer.Exit(1) from None


def read_settings() -> StackSettings:
    """The settings, with the addresses of the local engines where the environment names no others."""
    return StackSettings.read().resolved()


def local_stack() -> Stack:
    """The stack that the settings describe."""
    return Stack(read_settings(), step=Steps())
