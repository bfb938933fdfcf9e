"""``python -m infra.images.needs``: which packages of the lock each image holds, one name a line in ``needs/<image>.txt``.

The names follow from the extras of ``pyproject.toml`` and what the installed packages say that they require. Versions and hashes
stay in ``requirements.lock`` alone: a build takes from it the lines of these names.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "needs"
NAME = re.compile(r"^([a-z0-9-]+)==", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Image:
    """What an image holds."""

    extras: tuple[str, ...]
    """Of ``pyproject.toml``, beside what every service needs."""
    also: tuple[str, ...] = ()
    """Packages that no extra of these names."""
    without: tuple[str, ...] = ()
    """Packages that are required by one of them, and never imported; what only these require stays out too."""


IMAGES = {
    "collector": Image(("collector", "msk", "tracing")),
    "features": Image(("features", "msk")),
    "joiner": Image(("joiner", "msk", "tracing")),
    "ranking": Image(("ranking", "msk", "tracing")),
    "shopper": Image(("shopper",)),
    # The encoder is its weights and our own forward pass, adapters are trained elsewhere; nothing is compiled at run time; history
    # imports the example shop; some of the operators' commands need torch.
    "updater": Image(
        extras=("updater", "encoder", "multilingual", "mlflow", "shopper", "msk", "tracing"),
        also=("onnxruntime", "psutil", "rich", "tokenizers", "typer"),
        without=("sentence-transformers", "transformers", "peft", "huggingface-hub", "triton", "setuptools"),
    ),
    # `feast apply` and the operators' commands; Feast requires mypy, and runs without.
    "operator": Image(extras=("feast", "msk"), also=("onnxruntime", "psutil", "rich", "typer"), without=("mypy",)),
}


def needs(image: Image) -> list[str]:
    """The names of all packages of an image, sorted."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    roots = [*project["dependencies"], *image.also]
    roots += [line for extra in image.extras for line in project["optional-dependencies"][extra]]
    locked, left = set(NAME.findall((ROOT / "requirements.lock").read_text())), [Requirement(line) for line in roots]
    found = set[tuple[str, frozenset[str]]]()
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        if name in locked and name not in image.without and (name, frozenset(wanted.extras)) not in found:
            found.add((name, frozenset(wanted.extras)))
            left += required(wanted)
    return sorted({name for name, _ in found})


def required(package: Requirement) -> Iterator[Requirement]:
    """What a package requires, on whatever machine: the lock's own markers decide at the installation."""
    try:
        lines = requires(package.name) or ()
    except PackageNotFoundError:  # of another kind of machine
        return
    for line in lines:
        one = Requirement(line)
        if "extra" not in str(one.marker) or any(one.marker and one.marker.evaluate({"extra": name}) for name in package.extras):
            yield one


def main() -> None:
    """Write every list."""
    FOLDER.mkdir(exist_ok=True)
    for name, image in IMAGES.items():
        (FOLDER / f"{name}.txt").write_text("".join(f"{package}\n" for package in needs(image)))


if __name__ == "__main__":
    main()
