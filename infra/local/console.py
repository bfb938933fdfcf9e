"""What every command of ``freshet`` shares: its settings, its stack, and errors that are one sentence."""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from infra.local.progress import Steps, console
from infra.local.settings import StackSettings
from infra.local.stack import Stack
from shared.errors import FreshetError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def plainly() -> Iterator[None]:
    """An error that we raise on purpose is one sentence, not a traceback; so is a disk that fills up."""
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # its own words about the same thing
    try:
        yield
    except FreshetError as error:
        _end(str(error))
    except OSError as error:
        if error.errno not in FULL:
            raise
        what = f": {error.filename} was not written" if error.filename else ""
        _end(f"the disk is full{what}. Free some GB on it, or set FRESHET_STATE to a folder on another one, and start again")


def _end(sentence: str) -> NoReturn:
    console.print(sentence, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1) from None


def read_settings() -> StackSettings:
    """The settings, with the addresses of the local engines where the environment names no others."""
    return StackSettings.read().resolved()


def local_stack() -> Stack:
    """The stack that the settings describe."""
    return Stack(read_settings(), step=Steps())
