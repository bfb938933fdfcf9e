"""``freshet bundles``: which bundle is served."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markdown import Markdown

from infra.local.console import plainly, read_settings
from infra.local.operate import adopt as adopting
from infra.local.operate import bundles as serving
from infra.local.operate.commands.computing import require_torch
from infra.local.operate.commands.tables import Newest, at, table
from infra.local.progress import console
from infra.local.settings import StackSettings
from services.updater.settings import UpdaterSettings
from shared.bundles.storage import Storage
from shared.errors import BadInput

Version = Annotated[str, typer.Argument(help="as `freshet bundles list` shows it")]
app = typer.Typer(no_args_is_help=True, help="Which bundle is served.")


@app.command("list")
def list_bundles(newest: Newest = 20) -> None:
    """The newest versions; what the pointers say."""
    with plainly():
        storage = Storage.connect(read_settings())
        pointers = {name: storage.pointer(name) for name in ("latest", "pin")}
        rows = table("version", "kind", "parent", "windows", "bytes", "made", "")
        for one in serving.listed(storage, newest):
            marks = [name for name, pointer in pointers.items() if pointer and pointer.version == one.version]
            size = sum(file.size for file in one.files.values())
            windows = "–".join(str(window) for window in one.windows)
            rows.add_row(one.version, one.kind, one.parent or "", windows, f"{size:,}", at(one.created), ", ".join(marks))
        console.print(rows)


@app.command("show")
def show_bundle(version: Version) -> None:
    """A version's manifest, as JSON."""
    with plainly():
        manifest = Storage.connect(read_settings()).manifest(version)
        console.print_json(msgspec.json.encode(manifest).decode())


@app.command("card")
def show_card(version: Annotated[str, typer.Argument(help="of a full bundle")]) -> None:
    """A full bundle's model card."""
    with plainly():
        storage = Storage.connect(read_settings())
        manifest = storage.manifest(version)
        if "card" not in manifest.files:
            raise BadInput(f"{version} is a delta: full bundles have a card", field="version")
        console.print(Markdown(storage.get_blob(manifest.files["card"]).decode()))


@app.command("verify")
def verify_bundle(version: Version) -> None:
    """Load a version as ranking would: signature, hashes, shapes, finite weights."""
    with plainly():
        read = read_settings()
        manifest = serving.verify(Storage.connect(read), version, read.keys[1], time.time())
        console.print(f"{version} may be served: signed by the trusted key, its weights are {manifest.weights_sha256[:16]}…")


@app.command("pin")
def pin_bundle(version: Version) -> None:
    """Make ranking serve a version, whatever is published, until `unpin`."""
    with plainly():
        read = read_settings()
        pointer = serving.pin(Storage.connect(read), version, read.keys[1], time.time())
        console.print(f"pinned {version}: {pointer.full} and {len(pointer.deltas)} deltas; ranking follows within seconds")


@app.command("unpin")
def unpin_bundle() -> None:
    """Let ranking follow the newest bundle again."""
    with plainly():
        Storage.connect(read_settings()).unpin()
        console.print("unpinned: ranking follows the newest bundle")


@app.command("hold")
def hold_bundle() -> None:
    """Make ranking stay on what it serves now, while learning and publishing go on, until a person says `approve`."""
    with plainly():
        read = read_settings()
        pointer = serving.hold(Storage.connect(read), read.keys[1], time.time())
        console.print(f"held at {pointer.version} until `freshet bundles approve`; `freshet bundles list` shows what is published")


@app.command("approve")
def approve_bundle(
    version: Annotated[str | None, typer.Argument(help="to go to, and be held at; without it, the newest is followed")] = None,
) -> None:
    """Let a ranking that is held go on: to a version, or to follow the newest again."""
    with plainly():
        read = read_settings()
        pointer = serving.approve(Storage.connect(read), version, read.keys[1], time.time())
        console.print(f"approved {pointer.version}: ranking {'is held there' if version else 'follows the newest bundle'}")


@app.command("restore")
def restore_bundle(
    version: Version,
    without: Annotated[list[int] | None, typer.Option("--without", help="a window to leave out; may be given again")] = None,
    skipped: Annotated[bool, typer.Option("--learn-skipped", help="learn also the windows that the breaker had skipped")] = False,
) -> None:
    """Take learning back to a version's checkpoint, and on through the windows after it, without some."""
    with plainly():
        plans = asyncio.run(serving.restore(read_settings(), version, without or [], time.time(), skipped=skipped))
        console.print(f"learning goes back to {version} and through {len(plans) - 1} windows again, from window {plans[0].window}")


@app.command("adopt")
def adopt_features() -> None:
    """Let the model read the features that are declared now; learning goes back to its newest checkpoint and on from there."""
    with plainly():
        require_torch()
        read = read_settings()
        done = asyncio.run(adopting.adopt(read, asyncio.run(adopting.declared(read)), signing(read), time.time()))
        said = [f"{name} {', '.join(names)}" for name, names in (("new:", done.emerged), ("gone:", done.vanished)) if names]
        console.print(f"{'; '.join(said)}. Learning goes on from {done.version}, in which what is new weighs nothing yet")


def signing(settings: StackSettings) -> Path:
    """The stack's own key that signs, or the one that the updater is given where there is no other."""
    own, _ = settings.keys
    return own if own.exists() else UpdaterSettings.read().signing_key
