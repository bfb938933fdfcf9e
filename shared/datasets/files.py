"""Columns of a public set's file, in the owner's own format or as parquet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from shared.errors import BadSettings


def rows(
    folder: Path, names: Sequence[str], owner: str, delimiter: str = ",", columns: Sequence[str] = (), encoding: str = "utf8"
) -> list[dict[str, Any]]:
    """The rows of the first of these files that is there; by its ending it is parquet or delimited text.

    Args:
        folder: where the user has put the set.
        names: of files that hold the same, the smaller format first.
        owner: where the set is offered.
        delimiter: of delimited text.
        columns: their names, where the file has no header.
        encoding: of delimited text.

    Raises:
        BadSettings: none of the files is there; says where its owner offers it.
    """
    for name in names:
        if (path := folder / name).exists():
            found: list[dict[str, Any]] = _table(path, delimiter, columns, encoding).to_pylist()
            return found
    raise BadSettings(f"{folder} has none of {', '.join(names)}; the set is offered at {owner}")


def _table(path: Path, delimiter: str, columns: Sequence[str], encoding: str) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    reading = csv.ReadOptions(column_names=list(columns) or None, encoding=encoding)
    parsing, nothing = csv.ParseOptions(delimiter=delimiter), csv.ConvertOptions(strings_can_be_null=True)
    return csv.read_csv(path, read_options=reading, parse_options=parsing, convert_options=nothing)
