"""Arguments that every command here takes."""

import argparse
import os
from pathlib import Path

from infra.local.settings import ROOT


def places(parser: argparse.ArgumentParser, given: list[str] | None = None) -> argparse.Namespace:
    """The arguments, with where the sets lie, how much of each is played, and where its rows are kept."""
    here = os.environ.get("FRESHET_DATASETS")
    parser.add_argument("--data", type=Path, default=here and Path(here), help="folder with the sets; FRESHET_DATASETS")
    parser.add_argument("--share", type=float, help="of each set that is played; the set's own where not given")
    parser.add_argument("--cache", type=Path, default=ROOT / ".state" / "bench" / "learning")
    arguments = parser.parse_args(given)
    if arguments.data is None:
        parser.error("where are the sets? give --data DIR or set FRESHET_DATASETS; who offers one that is not in DIR is said")
    return arguments
