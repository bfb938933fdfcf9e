"""The terminal view of a play: a dashboard where there is a terminal, a line every few seconds where there is none."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from infra.local.watching import Seen, Watcher
from shared.bundles.storage import Storage

LOOK = 1.0
"""Seconds between two looks on a terminal."""
LINE = 5.0
"""Seconds between two lines elsewhere."""


def watch(
    urls: Mapping[str, str], log: Path, storage: Storage, *, until: Callable[[], bool], output: Console | None = None
) -> Seen:
    """Show a play until ``until()`` is true; the last look is returned.

    Args:
        urls: service → its ``/metrics``.
        log: the shopper's folder.
        storage: where the bundles' manifests are.
        until: asked after each look.
        output: where to show it.
    """
    output, watcher, started = output or Console(), Watcher(urls, log, storage), time.time()
    if not output.is_terminal:
        return _lines(watcher, output, started, until)
    with Live(console=output, refresh_per_second=4, transient=True) as live:
        while True:
            seen = watcher.look(time.time())
            live.update(dashboard(seen, time.time() - started))
            if until():
                return seen
            time.sleep(LOOK)


def _lines(watcher: Watcher, output: Console, started: float, until: Callable[[], bool]) -> Seen:
    due = started
    while True:
        seen = watcher.look(time.time())
        done = until()
        if done or time.time() >= due:
            output.print(line(seen, time.time() - started), soft_wrap=True, highlight=False)
            due += LINE
        if done:
            return seen
        time.sleep(LOOK)


def line(seen: Seen, elapsed: float) -> str:
    """One look in one line."""
    return " | ".join(f"{name} {value}" for part in _parts(seen, elapsed).values() for name, value in part.items())


def dashboard(seen: Seen, elapsed: float) -> Group:
    """One look as a board of panels."""
    board = Table.grid(expand=True)
    parts = _parts(seen, elapsed)
    for _ in parts:
        board.add_column(ratio=1)
    board.add_row(*(Panel(_figures(figures), title=title, border_style="cyan") for title, figures in parts.items()))
    return Group(board)


def _figures(figures: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style="dim")
    table.add_column(justify="right", style="bold")
    for name, value in figures.items():
        table.add_row(name, value)
    return table


def _parts(seen: Seen, elapsed: float) -> dict[str, dict[str, str]]:
    """Panel → name → figure."""
    count = seen.services.get
    live, frozen = seen.quality("served"), seen.quality("frozen")
    gain = f"{live - frozen:+.4f}" if live is not None and frozen is not None else "–"
    return {
        f"play, {int(elapsed) // 60}:{int(elapsed) % 60:02d}": {
            "shop's time": f"{datetime.fromtimestamp(seen.event_time, UTC):%d %b %H:%M}" if seen.event_time else "–",
            "events/s": f"{seen.events_per_s:.0f}",
            "rankings/s": f"{seen.requests_per_s:.0f}",
            "failed, shed": f"{seen.failed}, {seen.shed}",
        },
        "ranking": {
            "p50, p99": f"{_ms(seen.rank_p50_ms)}, {_ms(seen.rank_p99_ms)}",
            "window": f"{seen.window}",
            "bundle": seen.bundle or "–",
            "bundles seen": f"{seen.bundles}",
        },
        "learning": {
            "examples": f"{count('joiner_examples_total{kind=list}', 0):,.0f}",
            "corrections": f"{count('joiner_examples_total{kind=correction}', 0):,.0f}",
            "unmatched": f"{count('joiner_unmatched_total', 0):,.0f}",
            "refused": f"{count('ranking_bundles_refused_total', 0) + count('updater_bundles_refused_total', 0):,.0f}",
        },
        "freshness, quality": {
            "fresh p50, p99": f"{_seconds(seen.fresh_p50)}, {_seconds(seen.fresh_p99)}",
            "AUC live": _auc(live),
            "AUC frozen": _auc(frozen),
            "gain": gain,
        },
    }


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"


def _auc(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
