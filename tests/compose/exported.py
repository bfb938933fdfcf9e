"""Every metric that a service exports, read from the code."""

import ast
from collections.abc import Iterator
from functools import cache

from tests.compose.project import ROOT


@cache
def exported() -> dict[str, set[str]]:
    """Every metric, as Prometheus stores it, with its labels."""
    found = {}
    for file in [*(ROOT / "services").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]:
        for kind, name, labels in _declared(ast.parse(file.read_text())):
            base = name.removesuffix("_total") + "_total" if kind == "Counter" else name
            found |= {base + end: labels for end in (("_bucket", "_sum", "_count") if kind == "Histogram" else ("",))}
    return found


def _declared(tree: ast.Module) -> Iterator[tuple[str, str, set[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Counter", "Gauge", "Histogram"):
            texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
            if len(texts) == 2:
                given = [*node.args[2:], *(word.value for word in node.keywords if word.arg == "labelnames")]
                labels = next((ast.literal_eval(one) for one in given if isinstance(one, ast.List | ast.Tuple)), [])
                yield node.func.id, str(texts[0]), set(labels)
