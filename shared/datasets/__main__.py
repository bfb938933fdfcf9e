"""``python -m shared.datasets NAME:FOLDER OUT --until TIME``: what a public set holds before a moment, as a shop's own files.

``freshet history OUT`` imports them, and the shopper plays the set from that moment on. What was shown is not among them.
"""

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from shared.datasets.shops import between, named
from shared.errors import BadSettings
from shared.messages import Instant

FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def main() -> None:
    """Write ``items.ndjson``, the whole catalogue, and ``behaviour.ndjson``."""
    parser = argparse.ArgumentParser(prog="python -m shared.datasets", description=__doc__)
    parser.add_argument("shop", metavar="NAME:FOLDER", type=named)
    parser.add_argument("out", type=Path)
    parser.add_argument("--until", type=instant, required=True, help="such as 2011-06-01T00:00:00Z")
    arguments = parser.parse_args()
    kind, folder = arguments.shop
    shop = kind.read(folder, 7)
    arguments.out.mkdir(parents=True, exist_ok=True)
    past = between(shop.moments(), FIRST, arguments.until)
    _write(arguments.out / "items.ndjson", shop.items.values())
    _write(arguments.out / "behaviour.ndjson", (event for moment in past for event in moment.events))


def instant(words: str) -> datetime:
    """The moment that the words name.

    Raises:
        BadSettings: they are no RFC 3339, or leave the time zone out.
    """
    try:
        return msgspec.convert(words, Instant)
    except msgspec.ValidationError:
        raise BadSettings(f"--until {words} is no time with a zone, such as 2011-06-01T00:00:00Z") from None


def _write(file: Path, lines: Iterable[msgspec.Struct]) -> None:
    encode = msgspec.json.Encoder().encode
    with file.open("wb") as output:
        output.writelines(encode(line) + b"\n" for line in lines)


if __name__ == "__main__":
    try:
        main()
    except BadSettings as error:
        raise SystemExit(str(error)) from None
