"""``freshet windows``: what was learned, and whether what comes is."""

import asyncio
import time
from typing import Annotated

import typer

from infra.local.console import plainly, read_settings
from infra.local.operate import bundles as serving
from infra.local.operate import learning
from infra.local.operate.commands.computing import require_torch
from infra.local.operate.commands.tables import Newest, at, table
from infra.local.progress import console
from services.updater.settings import UpdaterSettings
from shared.bundles.storage import Storage
from shared.messages import Turn, WindowPlan

app = typer.Typer(no_args_is_help=True, help="What was learned, window by window.")


@app.command("list")
def list_windows(newest: Newest = 20) -> None:
    """The newest windows of the lineage that is learned."""
    with plainly():
        plans = asyncio.run(serving.folded(read_settings()))
        rows = table("window", "epoch", "examples", "catalogues", "planned", "")
        for plan in plans.lineage[-newest:]:
            rows.add_row(
                str(plan.window),
                str(plan.epoch),
                str(sum(end - start for start, end in plan.ranges.values())),
                str(len(plan.catalogues)),
                at(plan.planned_at),
                _remark(plan),
            )
        console.print(rows)


@app.command("pause")
def pause_learning() -> None:
    """Have the updater skip the windows that come, until `resume`."""
    with plainly():
        learning.pause(Storage.connect(read_settings()), time.time())
        console.print("paused: the windows from a few seconds on are planned as skipped; `freshet windows resume` ends it")


@app.command("resume")
def resume_learning() -> None:
    """Have the updater learn again, after a pause or whatever it took for strange: what comes is the new usual."""
    with plainly():
        learning.resume(Storage.connect(read_settings()), time.time())
        console.print("resumed: the windows from a few seconds on are learned, and are the new usual")


@app.command("status")
def learning_status() -> None:
    """Whether windows are learned or skipped, why, and which items bots seem to push."""
    with plainly():
        read = read_settings()
        found = learning.status(Storage.connect(read), asyncio.run(serving.folded(read)))
        stands = f"stopped since window {found.since}: {found.stopped}" if found.stopped else "learning"
        console.print(f"{stands}; the operator's order is {'pause' if found.paused else 'learn'}")
        for reason, count in found.skipped.items():
            console.print(f"{count} windows were skipped: {reason}")
        console.print(f"items that bots seem to push: {', '.join(found.suspects) or 'none'}")


@app.command("bisect")
def bisect_windows(
    version: Annotated[str, typer.Argument(help="a version with a checkpoint, from before the harm")],
    rows: Annotated[int, typer.Option(min=1, help="how many candidates shown last judge")] = 5_000,
    newest: Annotated[int, typer.Option("--show", min=1, help="how many windows are shown")] = 10,
) -> None:
    """Learn the windows after a checkpoint again, and name those that harmed the answers to what came later."""
    with plainly():
        require_torch()
        from services.updater import bisect

        found = asyncio.run(bisect.bisect(UpdaterSettings.read(**read_settings().model_dump()), version, rows))
        shown = table("window", "examples", "log loss after it", "raised by")
        for step in found[:newest]:
            shown.add_row(str(step.window), str(step.examples), f"{step.loss:.5f}", f"{step.harm:+.5f}")
        console.print(shown)
        console.print(f"to learn without one: freshet bundles restore {version} --without {found[0].window}")


def _remark(plan: WindowPlan) -> str:
    if plan.restarts:
        return f"back to {plan.restarts}"
    turn = plan.race or Turn()
    said = [*(f"{name} leaves" for name in turn.leaves), *[f"{turn.promotes} is champion"] * bool(turn.promotes)]
    said += [f"{name} enters" for name in turn.enters]
    if plan.without:
        said.append(f"skipped: {plan.verdict.skips}" if plan.verdict.skips else "left out")
    return ", ".join(said)
