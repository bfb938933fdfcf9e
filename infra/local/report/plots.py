"""The report's plots, each as an SVG that stands in the page."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from infra.local.report.quality import Rows, calibration
from infra.local.report.summary import COLD, Gathered
from services.updater.evaluation.metrics import auc, log_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIVE, FROZEN, INK, FAINT = "#0b7a75", "#d1603d", "#22303c", "#c9d2d9"
POINTS = 24
"""Along a prequential curve: each is a block of equally many lists."""


def plots(gathered: Gathered) -> dict[str, str]:
    """Title → SVG, in the page's order; only those that there is something to show for."""
    rows = gathered.rows
    wanted: dict[str, Callable[[Any], bool]] = {
        "Prequential AUC": lambda axes: _curve(axes, rows, auc),
        "Prequential log loss": lambda axes: _curve(axes, rows, log_loss),
        f"AUC of items with fewer than {COLD} exposures": lambda axes: _curve(axes, rows.where(rows.exposures < COLD), auc),
        "Calibration": lambda axes: _calibration(axes, rows),
        "Freshness": lambda axes: _freshness(axes, gathered),
        "Throughput": lambda axes: _throughput(axes, gathered),
        "Latency of a ranking": lambda axes: _latency(axes, gathered),
        "Cold start by step": lambda axes: _steps(axes, gathered.steps),
    }
    drawn = {title: _drawn(draw) for title, draw in wanted.items()}
    return {title: svg for title, svg in drawn.items() if svg}


def _drawn(draw: Callable[["Axes"], bool]) -> str:
    """One plot as SVG text; empty where the drawer had nothing."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    style: dict[Any, Any] = {"font.size": 9, "font.family": "sans-serif", "svg.fonttype": "none", "svg.hashsalt": "freshet"}
    style |= {"axes.edgecolor": FAINT, "text.color": INK, "axes.labelcolor": INK}
    with plt.rc_context(style):
        figure, axes = plt.subplots(figsize=(5.2, 2.9), layout="constrained")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK)
        axes.grid(color=FAINT, alpha=0.5, linewidth=0.6)
        axes.set_axisbelow(True)
        text = io.StringIO()
        if draw(axes):
            figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
    _, start, rest = text.getvalue().partition("<svg")  # without the XML prologue, which has no place in a page
    return start + rest


def _blocks(rows: Rows) -> list[Rows]:
    """Parts of equally many lists, in the order served."""
    distinct, number = np.unique(rows.lists, return_inverse=True)
    block = number * POINTS // max(len(distinct), 1)
    return [rows.where(block == one) for one in np.unique(block)]


def _curve(axes: "Axes", rows: Rows, measure: Callable[[Any, Any], float]) -> bool:
    """A measure block by block, live and frozen."""
    blocks = _blocks(rows)
    if len(blocks) < 3:
        return False
    at = np.cumsum([len(np.unique(block.lists)) for block in blocks])
    axes.plot(at, [measure(block.labels, block.live) for block in blocks], color=LIVE, label="live, as served")
    if np.isfinite(rows.frozen).all():
        axes.plot(at, [measure(block.labels, block.frozen) for block in blocks], color=FROZEN, label="frozen base")
    axes.set_xlabel("lists served")
    axes.legend(frameon=False)
    return True


def _calibration(axes: "Axes", rows: Rows) -> bool:
    if not len(rows.labels):
        return False
    for scores, colour, name in ((rows.live, LIVE, "live"), (rows.frozen, FROZEN, "frozen base")):
        if np.isfinite(scores).all():
            mean, share, _ = calibration(rows.labels, scores)
            axes.plot(mean, share, "o-", color=colour, label=name, markersize=3.5)
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle="--", label="perfect")
    axes.set_xlabel("mean probability of 15 equal bins")
    axes.set_ylabel("share bought")
    axes.legend(frameon=False)
    return True


def _freshness(axes: "Axes", gathered: Gathered) -> bool:
    found = gathered.freshness()
    kinds = {"inside the example": (found.in_example, LIVE), "as a correction": (found.corrections, FROZEN)}
    finite = {name: (seconds[np.isfinite(seconds)], colour) for name, (seconds, colour) in kinds.items()}
    longest = max((float(np.quantile(seconds, 0.995)) for seconds, _ in finite.values() if len(seconds)), default=0.0)
    if longest <= 0:
        return False
    for name, (seconds, colour) in finite.items():
        axes.hist(seconds, bins=np.linspace(0, longest, 50).tolist(), color=colour, alpha=0.75, label=name)
    axes.set_xlabel("seconds from the receipt to the first answer that learned it")
    axes.set_ylabel("outcomes")
    axes.legend(frameon=False)
    return True


def _throughput(axes: "Axes", gathered: Gathered) -> bool:
    start, end = gathered.played.started_wall, gathered.played.ended_wall
    if end - start < 3:
        return False
    edges = np.arange(0, end - start + 1, max((end - start) / 120, 1.0))
    series = {
        "rankings": ([line.finished_wall for line in gathered.questions if line.status == "ok"], LIVE),
        "events": ([line.accepted_wall for line in gathered.accepted if line.accepted_wall], FROZEN),
    }
    for name, (moments, colour) in series.items():
        count, _ = np.histogram(np.array(moments) - start, edges)
        axes.plot(edges[1:], count / np.diff(edges), color=colour, label=name, linewidth=1)
    axes.set_xlabel("seconds of the play")
    axes.set_ylabel("per second")
    axes.legend(frameon=False)
    return True


def _latency(axes: "Axes", gathered: Gathered) -> bool:
    took = np.sort([line.finished_wall - line.scheduled_wall for line in gathered.questions if line.status == "ok"]) * 1e3
    if len(took) < 10:
        return False
    axes.plot(took, np.linspace(0, 100, len(took)), color=LIVE)
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds from the scheduled arrival")
    axes.set_ylabel("% answered")
    return True


def _steps(axes: "Axes", steps: dict[str, float]) -> bool:
    if not steps:
        return False
    names, seconds = list(steps), np.array(list(steps.values()))
    axes.barh(names, seconds, left=np.cumsum(seconds) - seconds, color=LIVE)
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    return True
