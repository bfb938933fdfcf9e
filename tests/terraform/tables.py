"""``python -m tests.terraform.tables``: write the tables of inputs and outputs into each module's README.

A README is the module's own words, then these tables below a heading ``## Inputs``. Nothing but the standard library reads the HCL:
blocks at the top level, formatted by ``terraform fmt``.
"""

import re
from collections.abc import Iterator
from pathlib import Path

TERRAFORM = Path(__file__).resolve().parents[2] / "infra" / "terraform"
HEADING = "## Inputs\n"
BLOCK = re.compile(r'^(variable|output) "([\w-]+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
USED = re.compile(r"\bvar\.(\w+)")


def modules() -> list[Path]:
    """Every module and example."""
    return sorted(path.parent for path in TERRAFORM.glob("*/*/main.tf"))


def blocks(module: Path, kind: str) -> Iterator[tuple[str, str]]:
    """Name and body of each variable or output, in the order of the files."""
    for path in sorted(module.glob("*.tf")):
        yield from ((name, body) for found, name, body in BLOCK.findall(path.read_text()) if found == kind)


def argument(body: str, name: str) -> str:
    """An argument of a block on one line; empty where there is none."""
    found = re.search(rf"^  {name}\s*= (.*?)(?=^  [a-z]|^\s*$|\Z)", body, re.MULTILINE | re.DOTALL)
    if not found:
        return ""
    lines = [" ".join(line.split("#")[0].split()) for line in found[1].splitlines()]
    joined = ", ".join(line for line in lines if line)
    return re.sub(r",? ?(?=\}\))", " ", joined).replace("({, ", "({ ").replace("{, ", "{ ").replace("  ", " ")


def tables(module: Path) -> str:
    """Both tables."""
    lines = [HEADING, "| name | what it is | type | default |", "|---|---|---|---|"]
    for name, body in blocks(module, "variable"):
        default = argument(body, "default")
        shown = [f"`{name}`", _says(body), f"`{_short(argument(body, 'type'))}`", f"`{_short(default)}`" if default else "required"]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in shown)} |")
    lines += ["", "## Outputs", "", "| name | what it is |", "|---|---|"]
    lines += [f"| `{name}` | {_says(body)} |" for name, body in blocks(module, "output")]
    return "\n".join(lines) + "\n"


def text(module: Path) -> str:
    """The README as it should be: its own words, then the tables."""
    own = (module / "README.md").read_text().split(HEADING)[0]
    return own.rstrip() + "\n\n" + tables(module)


def _says(body: str) -> str:
    return argument(body, "description").strip('"').replace('\\"', '"')


def _short(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:56].rstrip()} …"


if __name__ == "__main__":
    for each in modules():
        (each / "README.md").write_text(text(each))
