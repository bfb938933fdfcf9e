"""The base: the engines' data right after the history import, kept so that pretraining happens once.

Every demo starts from a copy of it, so that each is the same experiment and no model has seen the days it is about to be asked of.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from infra.local.prepare import declarations, last_line
from infra.local.settings import ROOT
from infra.local.stack import Stack
from services.updater.settings import HistorySettings
from shared.bundles.storage import Storage
from shared.errors import Unavailable

KEPT = ("valkey", "s3")
"""What the import writes: counters, and the base bundle. Kafka begins empty."""
IMPORT = ("-m", "services.updater.history")
MADE_BY = ("services/updater", "shared/features", "shared/model", "shared/datasets", "shared/bundles")
"""Code whose change makes a kept base outdated."""


def load(stack: Stack, *, anew: bool) -> None:
    """Put the kept base under the stack's data before its engines start; ``anew`` drops the data that is there first.

    Engines that the environment names are left as they are.
    """
    if not stack.owns_engines:
        return
    if anew:
        shutil.rmtree(stack.data, ignore_errors=True)
    if not stack.data.exists() and stands(stack):
        with stack.step("base: the copy that an earlier start made"):
            _copy(folder(stack), stack.data)


def make(stack: Stack) -> bool:
    """Import the shop's history unless a bundle stands, and keep what came of it; whether it was imported.

    Raises:
        Unavailable: the import failed; says what it said last.
    """
    if Storage.connect(stack.settings).pointer("latest") is not None:
        return False
    with stack.step("history import: features, examples, the base bundle"):
        _import(stack)
    if stack.owns_engines:
        with stack.step("base kept for the next start"), stack.paused(("valkey", "seaweed")):
            _keep(stack)
    return True


def waiting(stack: Stack) -> frozenset[str]:
    """The services that have nothing to start from until a first bundle is published."""
    return frozenset({"updater", "ranking"} if Storage.connect(stack.settings).pointer("latest") is None else ())


def stands(stack: Stack) -> bool:
    """Whether the kept base was made by this very code."""
    mark = folder(stack) / "made-by"
    return mark.exists() and mark.read_text() == fingerprint()


def folder(stack: Stack) -> Path:
    """Where the base is kept."""
    return stack.settings.state.absolute() / "base"


def fingerprint() -> str:
    """SHA-256 of the code, the declarations and the sample of the shop that make a base."""
    settings = HistorySettings.read()
    sample = (settings.shopper_households, settings.shopper_seed, settings.shopper_start, settings.task)
    digest = hashlib.sha256(f"{declarations()} {sample}".encode())
    parts = (file for part in MADE_BY for file in ROOT.glob(f"{part}/**/*.py"))
    for file in sorted([*parts, ROOT / "shared" / "tasks.py"]):
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _keep(stack: Stack) -> None:
    shutil.rmtree(folder(stack), ignore_errors=True)
    _copy(stack.data, folder(stack))
    (folder(stack) / "made-by").write_text(fingerprint())


def _copy(source: Path, target: Path) -> None:
    """What the import wrote; a copy that was cut off is never taken for one.

    Raises:
        Unavailable: says what was not copied, and why.
    """
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        for engine in KEPT:
            shutil.copytree(source / engine, part / engine)
    except shutil.Error as error:
        shutil.rmtree(part, ignore_errors=True)
        raise Unavailable(f"the base was not copied to {target}, {error.args[0][0][2]}: mend that and start again") from error
    part.rename(target)


def _import(stack: Stack) -> None:
    log = stack.settings.state / "logs" / "history.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, *IMPORT], env=stack.variables, cwd=stack.folder("updater"), stdout=output, stderr=output
        )
    if done.returncode:
        raise Unavailable(f"the history import failed: {last_line(log)} (see {log})")
