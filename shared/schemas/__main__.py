"""``python -m shared.schemas``: write the documents anew."""

from pathlib import Path

import msgspec

from shared.schemas import documents

if __name__ == "__main__":
    for name, document in documents().items():
        text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
        Path(__file__).with_name(name).write_text(text + "\n", encoding="utf-8")
