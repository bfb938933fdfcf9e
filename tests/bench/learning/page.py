"""``LEARNING.md``, written from the JSON: one table a set, losing rows included, and the sentences that the figures support."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.bench.learning import goals
from tests.bench.learning.baskets import RESERVED
from tests.bench.learning.measures import FRESH
from tests.bench.learning.plot import gains
from tests.bench.learning.preface import aims, how
from tests.bench.learning.results import Results
from tests.bench.learning.sets import SETS

Figures = Mapping[str, Any]
PLOT = """## The gain against the age of the served snapshot
![AUC above the frozen base with fresh counters, by age](LEARNING.svg)
"""


def write(results: Results, file: Path) -> None:
    """Write the page."""
    parts = [how(), "\n".join([aims(), *goals.lines(results.sets), ""])]
    parts += [section(name, figures) for name, figures in results.sets.items()]
    if any(gains(figures) for figures in results.sets.values()):
        parts.append(PLOT)
    if missing := [name for name in SETS if name not in results.sets]:
        parts.append(f"## What is not here\nDeclared and not played: {', '.join(missing)}.\n")
    file.write_text("\n".join(parts))


def section(name: str, figures: Figures) -> str:
    """One set's part of the page."""
    about = figures["about"]
    lines = [
        f"## {name}",
        about["text"],
        "",
        f"{about['lists']:,} lists, {about['rows']:,} rows; history is {about['history_lists']:,} lists; {about['live_rows']:,} "
        f"live rows, {about['positives']:,.0f} of them positive; a window is {_span(about['window_s'])}; labels come after "
        f"{_span(about['delay_median_s'])} (median) and {_span(about['delay_p90_s'])} (p90){_waited(about)}.",
        "",
        *table(figures),
        "",
        *(f"- {sentence}" for sentence in sentences(figures)),
    ]
    for group, title in (("ages", "Age of the served snapshot"), ("mishaps", "Windows that are lost or late")):
        if rows := list(_small(figures, group)):
            lines += [
                "",
                f"**{title}**",
                "",
                "| first seed | AUC | log loss | ECE |",
                "|---|---|---|---|",
                *rows,
                "",
                *_kept(figures, group),
                *(_soonest(figures) if group == "ages" else ()),
            ]
    if "next_basket" in about:
        lines += ["", *_baskets(figures)]
    if missing := [name for name in about.get("not_played", ()) if name not in figures]:
        lines += ["", f"Declared for this set and not played: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def table(figures: Figures) -> Iterator[str]:
    """The models, best log loss first; what gives an order and no probability comes last."""
    models = {
        name: found for name, found in figures.items() if isinstance(found, dict) and found.get("group") in ("models", "orders")
    }
    yield "| model | AUC | log loss | ECE | group AUC | MRR | nDCG | cold items | new users | Δ AUC | Δ log loss | CPU-s | seeds |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for name, found in sorted(models.items(), key=lambda one: (one[1]["group"] == "orders", one[1]["logloss"])):
        order = found["group"] == "orders"
        cells = [
            f"**{name}**" if name == "freshet" else name,
            _number(found, "auc", 4) + _spread(found, "auc"),
            "–" if order else _number(found, "logloss", 4) + _spread(found, "logloss"),
            "–" if order else _number(found, "ece", 4),
            *(_number(found, metric, 4) for metric in ("group_auc", "mrr", "ndcg", "item_cold.auc", "user_new.auc")),
            _interval(found, "auc"),
            "–" if order else _interval(found, "logloss"),
            f"{_cost(found):,.1f}" if found["cpu_s"] else "–",
            str(found["seeds"]),
        ]
        yield f"| {' | '.join(cells)} |"


def _retrained(figures: Figures) -> list[str]:
    """The twins of freshet that were trained anew."""
    return [name for name in figures if name.startswith("retrained") and not name.endswith("no_counters")]


def sentences(figures: Figures) -> Iterator[str]:
    """What the table says."""
    base = figures.get("freshet")
    if base is None:
        return
    yield from _against(figures, "frozen", "the frozen base without counters")
    yield from _against(figures, "frozen_counters", "the frozen base with fresh counters, tuned to stand still")
    outside = goals.rivals(figures)
    if outside:
        best = min(outside, key=lambda name: outside[name]["logloss"])
        yield from _against(figures, best, f"the best rival by log loss ({best})")
    for name in _retrained(figures):
        yield from _against(figures, name, f"the full retrain ({name})")
        spent, whole = _cost(base), _cost(figures[name])
        yield f"Learning on cost {spent:,.1f} CPU-seconds, {name} {whole:,.1f}: 1/{whole / spent:,.0f} of it."
    if {"freshet_no_counters", "retrained_14d_no_counters"} <= figures.keys():
        on, anew = figures["freshet_no_counters"], figures["retrained_14d_no_counters"]
        yield (
            f"Without counters, learning on made AUC {on['auc']:.4f}, log loss {on['logloss']:.4f}; the same model trained anew "
            f"each 14 days, as the study did, {anew['auc']:.4f} and {anew['logloss']:.4f}."
        )
    yield from _cold(figures)
    frozen = figures.get("frozen_counters")
    if frozen:
        yield f"Calibration error: {base['ece']:.4f}, of the frozen base with counters {frozen['ece']:.4f}."
    if order := figures.get("shown_order"):
        yield f"MRR within lists: {base['mrr']:.4f}; the order as shown {order['mrr']:.4f}."


COMPARED = (
    ("freshet_ids_text", "freshet_ids_alone", "ids alone", "without counters and categories"),
    ("freshet_no_counters", "freshet_ids", "no text", "without counters"),
    ("freshet", "freshet_no_text", "no text", "with all inputs"),
)
"""What the text gives to cold items: with it, without it, and what else both see."""
COLD_ITEMS = (
    ("item_cold.auc", "Cold items", "AUC of rows"),
    ("item_fresh.auc", f"Of these, those shown fewer than {FRESH} times", "AUC of rows"),
    ("item_cold.mrr", "Cold items", "MRR of lists whose positive is one"),
)


def _cold(figures: Figures) -> Iterator[str]:
    for model, without, title, beside in COMPARED:
        text, plain = figures.get(model, {}), figures.get(without, {})
        for name, what, measure in COLD_ITEMS:
            if name in text and name in plain:
                gain = text[name] - plain[name]
                yield f"{what}, {beside}, {measure}: {text[name]:.4f} with text, {plain[name]:.4f} with {title}: {gain:+.4f}."


def _against(figures: Figures, name: str, title: str) -> Iterator[str]:
    if (found := figures.get(name)) is None or "freshet_less_this" not in found:
        return
    area, loss = found["freshet_less_this"]["auc"], found["freshet_less_this"]["logloss"]
    yield (
        f"Against {title}: AUC {area[0]:+.4f} (95%: {area[1]:+.4f} to {area[2]:+.4f}), log loss {loss[0]:+.4f} "
        f"({loss[1]:+.4f} to {loss[2]:+.4f}): {_verdict(loss)}."
    )


def _verdict(loss: list[float]) -> str:
    if loss[2] < 0:
        return "freshet is better"
    return "freshet is worse" if loss[1] > 0 else "no difference that the data can tell"


def _kept(figures: Figures, group: str) -> Iterator[str]:
    """What is left of the gain over the frozen base, in each row of a small table."""
    base, frozen = figures.get("freshet"), figures.get("frozen_counters")
    if base is None or frozen is None or not frozen["first"]["logloss"] > base["first"]["logloss"]:
        return
    before = frozen["first"]["logloss"]
    whole = before - base["first"]["logloss"]
    rows = [one for one in figures.values() if isinstance(one, dict) and one.get("group") == group]
    left = [f"{(before - one['first']['logloss']) / whole:.0%} where {one['about']}" for one in rows]
    yield f"- Of the log loss that learning saves against the frozen base there is left: {'; '.join(left)}."


def _soonest(figures: Figures) -> Iterator[str]:
    """How the shortest windows stand beside the set's own and beside what is trained anew."""
    ages = [one for one in figures.values() if isinstance(one, dict) and one.get("group") == "ages"]
    base, others = figures.get("freshet"), goals.rivals(figures)
    if base is None or not ages:
        return
    soonest = min(ages, key=lambda one: one["window_s"])
    best = sorted(others, key=lambda name: others[name]["logloss"])[:1]
    named = [*best, *_retrained(figures)]
    beside = "".join(f", {name} {figures[name]['first']['logloss']:.4f}" for name in named)
    own = base["first"]["logloss"]
    said = (
        f"- In windows of {_span(soonest['window_s'])}, the tempo that is nearest to a running service, log loss is "
        f"{soonest['first']['logloss']:.4f}; in the set's own {own:.4f}{beside}."
    )
    if soonest["first"]["logloss"] > own and figures["about"]["delay_median_s"] > soonest["window_s"]:
        said += " Such windows end before most labels came: each positive is learned as a negative first, and corrected later."
    yield said


def _small(figures: Figures, group: str) -> Iterator[str]:
    found = {name: one for name, one in figures.items() if isinstance(one, dict) and one.get("group") == group}
    if found and "freshet" in figures:
        yield _line("the set's own window, nothing lost", figures["freshet"])
    for one in found.values():
        yield _line(one["about"], one)
    if found and "frozen_counters" in figures:
        yield _line("never: the frozen base with fresh counters", figures["frozen_counters"])


def _line(title: str, found: Figures) -> str:
    first = found["first"]
    return f"| {title} | {first['auc']:.4f} | {first['logloss']:.4f} | {first['ece']:.4f} |"


def _baskets(figures: Figures) -> Iterator[str]:
    about = figures["about"]
    yield f"**Next basket, {about['households']} households.** {about['next_basket']}"
    yield ""
    yield "| model | recall@10 | of products bought before | of new ones (explore) |"
    yield "|---|---|---|---|"
    models = {name: one for name, one in figures.items() if "recall_at_10" in one and one["group"] in ("models", "orders")}
    for name, one in sorted(models.items(), key=lambda item: -item[1]["recall_at_10"]):
        yield f"| {name} | {one['recall_at_10']:.4f} | {one['repeat_recall_at_10']:.4f} | {one['explore_recall_at_10']:.4f} |"
    if "recall_over_usual" in (own := models.get("freshet", {})):
        (ratio, low, high), (explored, least, most) = own["recall_over_usual"], own["explore_recall"]
        yield ""
        yield (
            f"- Recall@10 is {ratio:.3f} times that of personal top frequency (95%: {low:.3f} to {high:.3f}), explore recall@10 "
            f"{explored:.4f} ({least:.4f} to {most:.4f}), households resampled: so few last baskets tell no smaller difference."
        )
    if "reserved" in own:
        usual = models["baskets_before"]["recall_at_10"]
        traded = [
            f"{places} give {whole:.4f} ({whole / usual:.3f} times) and {new:.4f}"
            for places, (whole, new) in zip(RESERVED, own["reserved"], strict=True)
        ]
        yield (
            f"- Where so many of freshet's ten places are kept for products new to the household, recall@10 and explore recall@10: "
            f"{'; '.join(traded)}."
        )


def _cost(found: Figures) -> float:
    return float(found["cpu_s"].get("learn", 0.0))


def _number(found: Figures, name: str, digits: int) -> str:
    return f"{found[name]:.{digits}f}" if name in found else "–"


def _spread(found: Figures, name: str) -> str:
    return f" ± {found['sd'][name]:.4f}" if found["seeds"] > 1 and name in found.get("sd", {}) else ""


def _interval(found: Figures, name: str) -> str:
    if "freshet_less_this" not in found:
        return "–"
    value, low, high = found["freshet_less_this"][name]
    return f"{value:+.4f} ({low:+.4f} to {high:+.4f})"


def _waited(about: Figures) -> str:
    wait = about.get("wait_s", 0.0)
    return f"; freshet's joiner waits {_span(wait)} for them" if wait else ""


def _span(seconds: float) -> str:
    units: tuple[tuple[str, float], ...] = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0))
    return next(f"{seconds / size:g} {unit}" for unit, size in units if seconds >= size)
