"""``freshet``: the operators' command line."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Literal

import typer

from infra.local import base, demo, prepare, rotation, status
from infra.local.console import local_stack, plainly, read_settings
from infra.local.operate.commands import register
from infra.local.progress import Steps, console
from infra.local.settings import StackSettings
from infra.local.stack import Stack
from shared.errors import BadSettings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Keeps a shop's models fresh.")


@contextmanager
def stopping_on_interrupt(stack: Stack) -> Iterator[None]:
    """Ctrl-C, SIGTERM or an error stop all in order; a second Ctrl-C changes nothing."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except BaseException as error:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stack.stop()
        if isinstance(error, KeyboardInterrupt):
            console.print("stopped")
            raise typer.Exit(130) from None
        raise


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


@app.command()
def up(
    empty: Annotated[bool, typer.Option("--empty", help="without the example shop's history: yours is imported later")] = False,
) -> None:
    """Start the engines and the services, and leave them running; where they run, start what does not.

    The first start imports the example shop's history and makes the base bundle, which later starts find.
    """
    with plainly():
        stack = local_stack()
        if stack.manager.running():
            stack.start_services(base.waiting(stack))
        else:
            stack.check()
            with stopping_on_interrupt(stack):
                _start(stack, empty)
        console.print(status.table(stack, status.now()))
        if waiting := base.waiting(stack):
            console.print(f"{' and '.join(sorted(waiting))} wait for a first bundle: `freshet history`, then `freshet up` again")


def _start(stack: Stack, empty: bool) -> None:
    if not empty:
        base.load(stack, anew=False)
    stack.start_engines()
    stack.prepare()
    if not empty:
        base.make(stack)
    stack.start_services(base.waiting(stack))


@app.command("demo", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def play_demo(
    context: typer.Context, keep: Annotated[bool, typer.Option("--keep", help="leave the stack running")] = False
) -> None:
    """Play a real shop through the whole loop, and report; further options are the shopper's settings (``--seconds 60``)."""
    with plainly():
        steps = Steps()
        os.environ.update(demo.TEMPO | dict(os.environ) | demo.shop(context.args))
        stack = Stack(read_settings().model_copy(update={"clock": "event"}), "demo", steps)
        stack.check()
        with stopping_on_interrupt(stack):
            figures = demo.run(stack, steps)
            if not keep:
                stack.stop()
        console.print(demo.summary(figures, stack.settings.state))


@app.command()
def down() -> None:
    """Stop all in order; data stays."""
    with plainly():
        console.print("stopped" if local_stack().stop() else "nothing was running")


@app.command("status")
def show_status() -> None:
    """What runs: state, process id, memory, port, readiness."""
    with plainly():
        stack = local_stack()
        if not stack.states():
            console.print("nothing runs: `freshet up` starts the stack")
        else:
            console.print(status.table(stack, status.now()))


@app.command("history", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def import_history(context: typer.Context) -> None:
    """Import a shop's history into a stack that runs; options go to ``python -m services.updater.history``."""
    with plainly():
        stack = local_stack()
        command = [sys.executable, *base.IMPORT, *context.args]
        os.execvpe(command[0], command, stack.variables)


@app.command()
def topics() -> None:
    """Create the topics that are missing, and check the others."""
    with plainly():
        made = prepare.topics(read_settings())
        console.print(f"created: {', '.join(made)}" if made else "all topics stand as the table says")


@app.command()
def features() -> None:
    """Apply the declared features, where they changed; the features services read them at their next start."""
    with plainly():
        stack = local_stack()
        history = os.environ.get("FRESHET_FEATURES_HISTORY") or prepare.history(stack.data)
        applied = prepare.features(stack.settings, history)
        console.print("the declared features are applied" if applied else "these features were applied before: nothing changed")


@app.command()
def keys(
    step: Annotated[
        Literal["next", "promote", "retire"] | None, typer.Argument(help="of a rotation; the page of operations has all")
    ] = None,
) -> None:
    """Make the pair of keys that signs and verifies bundles, unless it is there; or rotate it, step by step."""
    with plainly():
        settings = StackSettings.read()
        made = prepare.keys(settings)
        if step:
            rotation.STEPS[step](*settings.keys)
        console.print(f"{step or ('made' if made else 'kept')}: {', '.join(map(str, settings.keys))}")


@app.command()
def logs(name: Annotated[str, typer.Argument(help="an engine or a service")], follow: bool = False) -> None:
    """The log of one program."""
    with plainly():
        log = StackSettings.read().state / "logs" / f"{name}.log"
        if not log.exists():
            known = ", ".join(sorted(path.stem for path in log.parent.glob("*.log"))) or "none: nothing was started yet"
            raise BadSettings(f"there is no log of {name!r}; there is {known}")
        sys.stdout.flush()
        os.execvp("tail", ["tail", "-n", "100", *(["-f"] if follow else []), str(log)])


register(app)

if __name__ == "__main__":
    app()
