"""The operators' commands: ``freshet bundles``, ``windows``, ``challengers``, ``dead-letters``, ``lag``."""

import asyncio
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markdown import Markdown
from rich.table import Table

from infra.local.console import local_stack, plainly, read_settings
from infra.local.operate import adopt as adopting
from infra.local.operate import bundles as serving
from infra.local.operate import challengers as racing
from infra.local.operate import dead_letters as letters
from infra.local.operate import lag as lagging
from infra.local.operate import learning
from infra.local.progress import console
from infra.local.settings import StackSettings
from services.updater.settings import UpdaterSettings
from shared.bundles.storage import Storage
from shared.errors import BadInput, BadSettings
from shared.messages import Turn, WindowPlan
from shared.tasks import task

Version = Annotated[str, typer.Argument(help="as `freshet bundles list` shows it")]
Newest = Annotated[int, typer.Option("--newest", min=1, help="how many")]

bundles = typer.Typer(no_args_is_help=True, help="Which bundle is served.")
windows = typer.Typer(no_args_is_help=True, help="What was learned, window by window.")
dead_letters = typer.Typer(no_args_is_help=True, help="Records that nobody could use.")


def register(app: typer.Typer) -> None:
    """Add the operators' commands to the command line."""
    app.add_typer(bundles, name="bundles")
    app.add_typer(windows, name="windows")
    app.add_typer(dead_letters, name="dead-letters")
    app.command("challengers")(show_challengers)
    app.command("lag")(show_lag)


@bundles.command("list")
def list_bundles(newest: Newest = 20) -> None:
    """The newest versions; what the pointers say."""
    with plainly():
        storage = Storage.connect(read_settings())
        pointers = {name: storage.pointer(name) for name in ("latest", "pin")}
        rows = _table("version", "kind", "parent", "windows", "bytes", "made", "")
        for one in serving.listed(storage, newest):
            marks = [name for name, pointer in pointers.items() if pointer and pointer.version == one.version]
            size = sum(file.size for file in one.files.values())
            windows = "–".join(str(window) for window in one.windows)
            rows.add_row(one.version, one.kind, one.parent or "", windows, f"{size:,}", _at(one.created), ", ".join(marks))
        console.print(rows)


@bundles.command("show")
def show_bundle(version: Version) -> None:
    """A version's manifest, as JSON."""
    with plainly():
        manifest = Storage.connect(read_settings()).manifest(version)
        console.print_json(msgspec.json.encode(manifest).decode())


@bundles.command("card")
def show_card(version: Annotated[str, typer.Argument(help="of a full bundle")]) -> None:
    """A full bundle's model card."""
    with plainly():
        storage = Storage.connect(read_settings())
        manifest = storage.manifest(version)
        if "card" not in manifest.files:
            raise BadInput(f"{version} is a delta: full bundles have a card", field="version")
        console.print(Markdown(storage.get_blob(manifest.files["card"]).decode()))


@bundles.command("verify")
def verify_bundle(version: Version) -> None:
    """Load a version as ranking would: signature, hashes, shapes, finite weights."""
    with plainly():
        read = read_settings()
        manifest = serving.verify(Storage.connect(read), version, read.keys[1], time.time())
        console.print(f"{version} may be served: signed by the trusted key, its weights are {manifest.weights_sha256[:16]}…")


@bundles.command("pin")
def pin_bundle(version: Version) -> None:
    """Make ranking serve a version, whatever is published, until `unpin`."""
    with plainly():
        read = read_settings()
        pointer = serving.pin(Storage.connect(read), version, read.keys[1], time.time())
        console.print(f"pinned {version}: {pointer.full} and {len(pointer.deltas)} deltas; ranking follows within seconds")


@bundles.command("unpin")
def unpin_bundle() -> None:
    """Let ranking follow the newest bundle again."""
    with plainly():
        Storage.connect(read_settings()).unpin()
        console.print("unpinned: ranking follows the newest bundle")


@bundles.command("hold")
def hold_bundle() -> None:
    """Make ranking stay on what it serves now, while learning and publishing go on, until a person says `approve`."""
    with plainly():
        read = read_settings()
        pointer = serving.hold(Storage.connect(read), read.keys[1], time.time())
        console.print(f"held at {pointer.version} until `freshet bundles approve`; `freshet bundles list` shows what is published")


@bundles.command("approve")
def approve_bundle(
    version: Annotated[str | None, typer.Argument(help="to go to, and be held at; without it, the newest is followed")] = None,
) -> None:
    """Let a ranking that is held go on: to a version, or to follow the newest again."""
    with plainly():
        read = read_settings()
        pointer = serving.approve(Storage.connect(read), version, read.keys[1], time.time())
        console.print(f"approved {pointer.version}: ranking {'is held there' if version else 'follows the newest bundle'}")


@bundles.command("restore")
def restore_bundle(
    version: Version,
    without: Annotated[list[int] | None, typer.Option("--without", help="a window to leave out; may be given again")] = None,
    skipped: Annotated[bool, typer.Option("--learn-skipped", help="learn also the windows that the breaker had skipped")] = False,
) -> None:
    """Take learning back to a version's checkpoint, and on through the windows after it, without some."""
    with plainly():
        plans = asyncio.run(serving.restore(read_settings(), version, without or [], time.time(), skipped=skipped))
        console.print(f"learning goes back to {version} and through {len(plans) - 1} windows again, from window {plans[0].window}")


@bundles.command("adopt")
def adopt_features() -> None:
    """Let the model read the features that are declared now; learning goes back to its newest checkpoint and on from there."""
    with plainly():
        _require_torch()
        read = read_settings()
        done = asyncio.run(adopting.adopt(read, asyncio.run(adopting.declared(read)), _signing(read), time.time()))
        said = [f"{name} {', '.join(names)}" for name, names in (("new:", done.emerged), ("gone:", done.vanished)) if names]
        console.print(f"{'; '.join(said)}. Learning goes on from {done.version}, in which what is new weighs nothing yet")


@windows.command("list")
def list_windows(newest: Newest = 20) -> None:
    """The newest windows of the lineage that is learned."""
    with plainly():
        plans = asyncio.run(serving.folded(read_settings()))
        rows = _table("window", "epoch", "examples", "catalogues", "planned", "")
        for plan in plans.lineage[-newest:]:
            rows.add_row(
                str(plan.window),
                str(plan.epoch),
                str(sum(end - start for start, end in plan.ranges.values())),
                str(len(plan.catalogues)),
                _at(plan.planned_at),
                _remark(plan),
            )
        console.print(rows)


@windows.command("pause")
def pause_learning() -> None:
    """Have the updater skip the windows that come, until `resume`."""
    with plainly():
        learning.pause(Storage.connect(read_settings()), time.time())
        console.print("paused: the windows from a few seconds on are planned as skipped; `freshet windows resume` ends it")


@windows.command("resume")
def resume_learning() -> None:
    """Have the updater learn again, after a pause or whatever it took for strange: what comes is the new usual."""
    with plainly():
        learning.resume(Storage.connect(read_settings()), time.time())
        console.print("resumed: the windows from a few seconds on are learned, and are the new usual")


@windows.command("status")
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


@windows.command("bisect")
def bisect_windows(
    version: Annotated[str, typer.Argument(help="a version with a checkpoint, from before the harm")],
    rows: Annotated[int, typer.Option(min=1, help="how many candidates shown last judge")] = 5_000,
    newest: Annotated[int, typer.Option("--show", min=1, help="how many windows are shown")] = 10,
) -> None:
    """Learn the windows after a checkpoint again, and name those that harmed the answers to what came later."""
    with plainly():
        _require_torch()
        from services.updater import bisect

        found = asyncio.run(bisect.bisect(UpdaterSettings.read(**read_settings().model_dump()), version, rows))
        table = _table("window", "examples", "log loss after it", "raised by")
        for step in found[:newest]:
            table.add_row(str(step.window), str(step.examples), f"{step.loss:.5f}", f"{step.harm:+.5f}")
        console.print(table)
        console.print(f"to learn without one: freshet bundles restore {version} --without {found[0].window}")


@dead_letters.command("list")
def list_letters(reason: str = "", service: str = "", newest: Newest = 20) -> None:
    """How many there are by reason, and the newest of them."""
    with plainly():
        found = asyncio.run(letters.letters(read_settings(), reason, service))
        counted = _table("service", "reason", "topic", "records")
        for (by, why, topic), count in letters.counts(found).items():
            counted.add_row(by, why, topic, f"{count:,}")
        rows = _table("time", "origin", "reason", "detail")
        for one in found[-newest:]:
            origin = f"{one.origin.topic}/{one.origin.partition}@{one.origin.offset}"
            rows.add_row(f"{one.time:%Y-%m-%d %H:%M:%S}", origin, one.reason, one.detail)
        console.print(counted, rows)


@dead_letters.command("replay")
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


def show_challengers() -> None:
    """Who learns beside the champion, and what it gained, as the newest checkpoint tells it."""
    with plainly():
        read = read_settings()
        progress = racing.newest(Storage.connect(read))
        table = _table("name", "role", "since window", "lists", "gain", "interval", "settings")
        for row in racing.rows(task(read.task), progress.race):
            gain = "" if row.gain is None else f"{row.gain:+.5f}"
            interval = "{:+.5f} to {:+.5f}".format(*row.interval) if row.interval else ""
            table.add_row(row.name, row.role, str(row.window), f"{row.lists:,}", gain, interval, row.settings)
        console.print(table)
        console.print(f"as of window {progress.window}; gains are log loss, nats a row, over the champion of that time")


def show_lag() -> None:
    """How old the last record is that each service read, by topic."""
    with plainly():
        urls = {service.name: lagging.replicas(service.host, service.port) for service in local_stack().services}
        rows = _table("service", "topic", "partitions", "oldest last record")
        for (service, topic), (seconds, partitions) in lagging.ages(urls).items():
            rows.add_row(service, topic, str(partitions), f"{seconds:,.1f} s")
        console.print(rows if rows.row_count else "no service has read a record since it started: look whether they run")


def _require_torch() -> None:
    """Refuse where it is not, as in the operators' own image.

    Raises:
        BadSettings: says where the command can be run instead.
    """
    if find_spec("torch") is None:
        where = "in compose `docker compose run --rm learner`, on AWS a task of the updater; the page of operations has both"
        raise BadSettings(f"this command computes with the model, and torch is not here. It runs in the updater's image: {where}")


def _signing(settings: StackSettings) -> Path:
    """The stack's own key that signs, or the one that the updater is given where there is no other."""
    own, _ = settings.keys
    return own if own.exists() else UpdaterSettings.read().signing_key


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("version", "parent", "time", "made", "origin"))
    return table


def _at(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _remark(plan: WindowPlan) -> str:
    if plan.restarts:
        return f"back to {plan.restarts}"
    turn = plan.race or Turn()
    said = [*(f"{name} leaves" for name in turn.leaves), *[f"{turn.promotes} is champion"] * bool(turn.promotes)]
    said += [f"{name} enters" for name in turn.enters]
    if plan.without:
        said.append(f"skipped: {plan.verdict.skips}" if plan.verdict.skips else "left out")
    return ", ".join(said)
