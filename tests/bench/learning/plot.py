"""``LEARNING.svg``: how much of the gain is left when the served snapshot is older."""

from pathlib import Path
from typing import Any

from tests.bench.learning.results import Results

INK, FAINT = "#333333", "#bbbbbb"


def draw(results: Results, file: Path) -> bool:
    """Draw each set's gain of AUC over the frozen base with fresh counters, by the age of the snapshot; whether there was one."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    curves = {name: curve for name, figures in results.sets.items() if len(curve := gains(figures)) > 1}
    if not curves:
        return False
    ages = list(dict.fromkeys(age for curve in curves.values() for age in curve))
    style: dict[Any, Any] = {"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "freshet", "axes.edgecolor": FAINT}
    with plt.rc_context(style | {"text.color": INK, "axes.labelcolor": INK}):
        figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=FAINT, alpha=0.5, linewidth=0.6)
        for name, curve in curves.items():
            axes.plot([ages.index(age) for age in curve], list(curve.values()), marker="o", label=name)
        axes.set_xticks(range(len(ages)), ages)
        axes.set_xlabel("the served snapshot is at most this old")
        axes.set_ylabel("AUC above the frozen base")
        axes.legend(frameon=False)
        figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(figure)
    return True


def gains(figures: dict[str, Any]) -> dict[str, float]:
    """AUC above the frozen base with fresh counters, by age, youngest first; ``never`` is 0."""
    if (frozen := figures.get("frozen_counters")) is None:
        return {}
    ages = {one["age"]: one for one in figures.values() if isinstance(one, dict) and one.get("group") == "ages"}
    found = {
        age: one["first"]["auc"] - frozen["first"]["auc"] for age, one in sorted(ages.items(), key=lambda item: item[1]["window_s"])
    }
    return found | {"never": 0.0} if found else {}
