"""The report as one page that needs nothing beside itself."""

from collections.abc import Mapping
from html import escape
from typing import Any

STYLE = """
:root { --ink: #22303c; --faint: #6b7c8a; --line: #e3e8ec; --live: #0b7a75; }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 1120px; margin: 2rem auto; padding: 0 1.2rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem } p { margin: .3rem 0; color: var(--faint) }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: .7rem; margin: 1.3rem 0 }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: .7rem .9rem }
.tile b { display: block; font-size: 1.45rem; color: var(--live) } .tile span { color: var(--faint); font-size: .85rem }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 1rem }
figure { margin: 0; border: 1px solid var(--line); border-radius: 8px; padding: .6rem } figcaption { font-weight: 600 }
svg { width: 100%; height: auto } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
td, th { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line) }
td:first-child, th:first-child { text-align: left } .tables { display: grid; grid-template-columns: 1fr 1fr; gap: 0 2rem }
@media (max-width: 800px) { .tables { grid-template-columns: 1fr } .plots { grid-template-columns: 1fr } }
"""


def page(report: Mapping[str, Any], drawn: Mapping[str, str]) -> str:
    """The report's HTML.

    Args:
        report: what :func:`infra.local.report.summary.report` made.
        drawn: title → SVG.
    """
    figures = "".join(f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" for title, svg in drawn.items())
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>",
        f"<title>Freshet: report of play {escape(report['play'])}</title><style>{STYLE}</style><body>",
        "<h1>Freshet: what this play came to</h1>",
        f"<p>{escape(_told(report))}</p>",
        f"<div class='tiles'>{''.join(_tile(name, value) for name, value in _tiles(report).items())}</div>",
        f"<div class='plots'>{figures}</div>",
        "<h2>Live against frozen</h2>",
        "<p>Live is the score as served, frozen the base bundle on the features logged with the same impressions. "
        "The interval is 95%, paired, by a bootstrap over households. Negatives are sampled.</p>",
        _quality_table(report),
        f"<div class='tables'>{''.join(_section(title, rows) for title, rows in _sections(report).items())}</div>",
        "</body></html>",
    ]
    return "\n".join(parts)


def _told(report: Mapping[str, Any]) -> str:
    speed = report["shop_hours_per_second"]
    if report["kind"] == "synthetic":
        return f"A synthetic load of {report['seconds']:.0f} s."
    return (
        f"{report['seconds']:.0f} s of a real shop's history at {_shown(speed)} shop hours a second: "
        "counters with horizons shorter than that are idle at such a speed."
    )


def _tiles(report: Mapping[str, Any]) -> dict[str, str]:
    fresh, rank = report["freshness_s"], report["rank_ms"]
    gain = report["prequential"].get("live_less_frozen", {}).get("auc", {})
    interval = f" [{gain['low']:+.4f}, {gain['high']:+.4f}]" if gain else ""
    return {
        "freshness p50, p99": f"{_shown(fresh['p50'], '∞')} s, {_shown(fresh['p99'], '∞')} s",
        f"AUC gained over frozen{interval}": f"{gain['difference']:+.4f}" if gain else "–",
        "bundles swapped": _shown(report["bundles"]["swapped"]),
        "rankings, failed": f"{_shown(report['requests']['sent'])}, {_shown(report['requests']['failed'])}",
        "rank p50, p99": f"{_shown(rank['p50'])}, {_shown(rank['p99'])} ms",
        "events, lost": f"{_shown(report['events']['sent'])}, {_shown(report['events']['lost'])}",
    }


def _tile(name: str, value: str) -> str:
    return f"<div class='tile'><b>{escape(value)}</b><span>{escape(name)}</span></div>"


def _quality_table(report: Mapping[str, Any]) -> str:
    names = ("auc", "logloss", "ece", "group_auc")
    lines = ["<tr><th></th><th>rows</th>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>"]
    for title, part in (("all items", report["prequential"]), ("cold items", report["cold_items"])):
        for who in ("live", "frozen"):
            if part.get(who):
                cells = "".join(f"<td>{_shown(part[who][name])}</td>" for name in names)
                lines.append(f"<tr><td>{who}, {title}</td><td>{part['rows']:,}</td>{cells}</tr>")
        for name, gain in part.get("live_less_frozen", {}).items():
            interval = f"{gain['difference']:+.4f} [{gain['low']:+.4f}, {gain['high']:+.4f}]"
            lines.append(f"<tr><td>live less frozen, {title}</td><td>{name}</td><td colspan='4'>{interval}</td></tr>")
    return f"<table>{''.join(lines)}</table>"


def _sections(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    fresh = report["freshness_s"]
    return {
        "Events": report["events"],
        "Requests": report["requests"] | {f"{name}, ms": value for name, value in report["rank_ms"].items()},
        "Learning": {"examples": report["examples"], "corrections": report["corrections"], "unmatched": report["unmatched"]}
        | {f"unmatched: {reason}": count for reason, count in report["unmatched_by_reason"].items()},
        "Bundles": report["bundles"],
        "Freshness, s": {name: value for name, value in fresh.items() if not isinstance(value, dict)}
        | {f"{kind}: {name}": value for kind in ("in_example", "corrections") for name, value in fresh[kind].items()},
        "AUC of one thing alone": report["alone_auc"],
        "Throughput": report["throughput"],
        "Peak memory, MB": report["memory_mb"],
        "Cold start, s": report["cold_start_s"],
        "Dead letters": report["dead_letters"],
    }


def _section(title: str, rows: Mapping[str, Any]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{_shown(value)}</td></tr>" for name, value in rows.items())
    return f"<div><h2>{escape(title)}</h2><table>{lines}</table></div>"


def _shown(value: Any, missing: str = "–") -> str:
    if value is None:
        return missing
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else escape(str(value))
