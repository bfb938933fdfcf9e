"""``freshet demo``: a real shop's households through the whole loop, watched live, with a report at the end."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rich.table import Table

from infra.local import base
from infra.local.ports import require_free
from infra.local.progress import Steps
from infra.local.stack import Stack
from services.shopper.settings import ShopperSettings
from shared.bundles.storage import Storage
from shared.errors import BadInput, BadSettings, Unavailable

COMMAND = (sys.executable, "-m", "services.shopper")
TEMPO = {"FRESHET_RIPE_S": "60"}
"""What the updater is told unless the environment says otherwise: the shopper's outcomes come within seconds, not half an hour."""
SEEN = (
    "your engines hold a model already, and may have counted the days that the demo plays: empty their topics, keys and bucket, "
    "or unset FRESHET_KAFKA, FRESHET_REDIS and FRESHET_S3"
)


def shop(arguments: list[str]) -> dict[str, str]:
    """Options of the demo as the shopper's variables: the history import must hear of them too, it plays the same shop.

    Raises:
        BadInput: something is no setting of the shopper.
    """
    names = {name.removeprefix("shopper_"): name for name in ShopperSettings.model_fields if name.startswith("shopper_")}
    words, found = [part for word in arguments for part in word.split("=", 1)], {}
    for option, value in zip_longest(words[::2], words[1::2]):
        name = names.get(option.removeprefix("--"))
        if name is None or value is None:
            known = ", ".join(f"--{one}" for one in names)
            raise BadInput(f"{option} is no setting of the shopper with a value; there is {known}", field=option)
        found[f"FRESHET_{name.upper()}"] = value
    return found


def run(stack: Stack, steps: Steps) -> dict[str, Any]:
    """Start everything, play, report; the stack is left running, and the report's figures are returned.

    Args:
        stack: checked, and on event time.
        steps: shows the progress, and keeps the cold start's budget.

    Raises:
        BadSettings: the shopper's port is taken, or the engines that the environment names hold a model already.
    """
    from infra.local.report.run import run_report

    started = time.time()
    require_free({ShopperSettings.read().shopper_port: "shopper"})
    base.load(stack, anew=True)
    stack.start_engines()
    stack.prepare()
    if not base.make(stack) and not stack.owns_engines:
        raise BadSettings(SEEN)
    stack.start_services()
    log = stack.folder("shopper")
    with _playing(stack, log) as shopper:
        with steps("shopper: the catalogue sent, the first answer served"):
            _first_answer(shopper, log, stack.settings.state / "logs" / "shopper.log")
        steps.output.print(f"the first answer was served {time.time() - started:.0f} s after the start")
        budget = dict(steps.seconds)
        _watch(stack, shopper, log, steps)
    with steps("report"):
        return run_report(
            stack.settings,
            log,
            stack.settings.state,
            verify_key=stack.settings.keys[1],
            metrics=_metrics(stack),
            processes={name: state.pid for name, state in stack.states().items() if state.pid},
            steps=budget,
        )


@contextmanager
def _playing(stack: Stack, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The shopper, which has ended when this ends."""
    settings = stack.settings
    doors = {
        "FRESHET_COLLECTOR": f"http://{settings.host}:{settings.collector_port}",
        "FRESHET_RANKING": f"http://{settings.host}:{settings.ranking_port}",
        "FRESHET_SHOPPER_LOG": str(log),
    }
    with (settings.state / "logs" / "shopper.log").open("wb") as output:
        shopper = subprocess.Popen(  # a session of its own: Ctrl-C reaches it through us, in order
            COMMAND, env={**stack.variables, **doors}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield shopper
    finally:
        shopper.terminate()
        try:
            shopper.wait(30)
        except subprocess.TimeoutExpired:
            shopper.kill()


def _first_answer(shopper: subprocess.Popen[bytes], log: Path, output: Path, wait_s: float = 120.0) -> None:
    from services.shopper.log import Asked, Tail

    tail, deadline = Tail(log, Asked), time.monotonic() + wait_s
    while not any(line.status == "ok" for line in tail.new()):
        if shopper.poll() is not None:
            raise Unavailable(f"the shopper ended before its first answer: see {output}")
        if time.monotonic() > deadline:
            raise Unavailable(f"no answer was served within {wait_s:.0f} s: see {output}")
        time.sleep(0.1)


def _watch(stack: Stack, shopper: subprocess.Popen[bytes], log: Path, steps: Steps) -> None:
    """Show the play until the shopper has ended."""
    from infra.local.view import watch

    watch(_metrics(stack), log, Storage.connect(stack.settings), until=lambda: shopper.poll() is not None, output=steps.output)
    if shopper.returncode:
        raise Unavailable(f"the shopper stopped with {shopper.returncode}: see {stack.settings.state / 'logs' / 'shopper.log'}")


def _metrics(stack: Stack) -> dict[str, str]:
    return {service.name: f"http://{service.host}:{service.port}/metrics" for service in stack.services}


def summary(figures: dict[str, Any], state: Path) -> Table:
    """The report in a dozen lines."""
    shown = Table(title="What happened", title_justify="left", show_header=False)
    quality, frozen = figures["prequential"].get("live", {}), figures["prequential"].get("frozen", {})
    cold = figures["cold_items"]
    lines = {
        "events sent / lost / duplicated": _joined(figures["events"], "sent", "lost", "duplicated"),
        "requests sent / failed": _joined(figures["requests"], "sent", "failed"),
        "rank p50 / p99": _joined(figures["rank_ms"], "p50", "p99") + " ms",
        "examples, corrections, unmatched": f"{figures['examples']}, {figures['corrections']}, {figures['unmatched']}",
        "bundles published / swapped / refused": _joined(figures["bundles"], "published", "swapped", "refused"),
        "freshness p50 / p99": _joined(figures["freshness_s"], "p50", "p99") + f" s, n = {figures['freshness_s']['n']}",
        "AUC live / frozen": f"{_shown(quality.get('auc'))} / {_shown(frozen.get('auc'))}",
        "log loss live / frozen": f"{_shown(quality.get('logloss'))} / {_shown(frozen.get('logloss'))}",
        "AUC of cold items, live / frozen": " / ".join(_shown(cold.get(side, {}).get("auc")) for side in ("live", "frozen")),
        "shop hours per second": _shown(figures["shop_hours_per_second"]),
        "report": str(state / "report.html"),
    }
    for name, value in lines.items():
        shown.add_row(name, value)
    return shown


def _joined(figures: dict[str, Any], *names: str) -> str:
    return " / ".join(_shown(figures.get(name)) for name in names)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
