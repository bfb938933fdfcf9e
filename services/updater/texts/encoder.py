"""The frozen text encoder: the forward pass alone of BERT and RoBERTa (Devlin et al., 2019; Liu et al., 2019), many languages' too.

A contract test holds it to sentence-transformers' own; not importing that saves most of the time that a few thousand texts take.
What has another architecture goes through ``transformers``. A model is a folder as sentence-transformers saves it:

    model.safetensors, config.json, tokenizer.json          the weights, their shape, how a text becomes word pieces
    1_Pooling/config.json, sentence_bert_config.json        mean or first piece, and how many pieces count
    modules.json                                            that nothing but a normalisation follows

The last three may be absent. An adapter's folder names the model that its terms are added to; see ``folders.py``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from services.updater.texts.folders import ADAPTER, TERMS, Adapter, frozen, read, there
from shared.errors import BadSettings

CPU = torch.device("cpu")
BATCH = 64
LONGEST = 256
"""Word pieces of a text that count where neither the model nor its tokenizer says."""
OWN = {"bert", "roberta", "xlm-roberta"}
"""``model_type`` of what needs nothing but this module."""
States = Callable[[Tensor], Tensor]
"""Last hidden states (n, pieces, width) of token ids (n, pieces) without padding."""
PEFT = "base_model.model."
"""What peft writes before a layer's name."""


class Config(msgspec.Struct, frozen=True):
    """What ``config.json`` says of the weights."""

    model_type: str
    num_attention_heads: int = 12
    num_hidden_layers: int = 12
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    hidden_act: str = "gelu"
    position_embedding_type: str = "absolute"

    @property
    def is_own(self) -> bool:
        """Whether :class:`Bert` computes it."""
        return self.model_type in OWN and (self.hidden_act, self.position_embedding_type) == ("gelu", "absolute")

    @property
    def first_position(self) -> int:
        """Row of the first piece's position; RoBERTa counts from behind the padding's."""
        return 0 if self.model_type == "bert" else self.pad_token_id + 1


class Pooling(msgspec.Struct, frozen=True):
    """What ``1_Pooling/config.json`` says, in the words of sentence-transformers 6 or of those before."""

    pooling_mode: str | list[str] = ""
    pooling_mode_cls_token: bool = False
    pooling_mode_mean_tokens: bool = False

    @property
    def mode(self) -> str | list[str]:
        """``mean``, ``cls``, or what we do not know."""
        before = [name for name in ("cls", "mean") if getattr(self, f"pooling_mode_{name}_token{'s' * (name == 'mean')}")]
        return self.pooling_mode or (before[0] if len(before) == 1 else before)


class Pieces(msgspec.Struct, frozen=True):
    """What ``sentence_bert_config.json`` says."""

    max_seq_length: int | None = None
    """Word pieces of a text that count."""


class Module(msgspec.Struct, frozen=True):
    """A line of ``modules.json``."""

    type: str


@dataclass(frozen=True, slots=True)
class LowRank:
    """What adaptation adds to a layer: x ↦ scale · up (down x) (LoRA; Hu et al., 2021)."""

    down: Tensor
    """(rank, inputs)."""
    up: Tensor
    """(outputs, rank)."""
    scale: float

    def of(self, x: Tensor) -> Tensor:
        """The term that is added."""
        return functional.linear(functional.linear(x, self.down), self.up) * self.scale


class Bert:
    """The network, from its weights by name.

    Args:
        weights: as ``transformers`` names them, whatever comes before ``embeddings`` and ``encoder``.
        low_rank: terms that are added to layers, by the layer's name.
    """

    def __init__(self, weights: Mapping[str, Tensor], config: Config, low_rank: Mapping[str, LowRank] | None = None) -> None:
        self.prefix = next(name for name in weights if name.endswith("embeddings.word_embeddings.weight")).split("embeddings.")[0]
        self.weights = {
            name.removeprefix(self.prefix): weight.float() for name, weight in weights.items() if weight.is_floating_point()
        }
        self.config, self.low_rank = config, low_rank or {}

    def __call__(self, ids: Tensor) -> Tensor:
        """See :data:`States`."""
        tables = [self.weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
        first = self.config.first_position
        states = tables[0][ids] + tables[1][first : first + ids.shape[1]] + tables[2][0]
        states = self._norm(states, "embeddings.LayerNorm")
        for layer in range(self.config.num_hidden_layers):
            states = self._layer(states, f"encoder.layer.{layer}")
        return states

    def _layer(self, states: Tensor, at: str) -> Tensor:
        """Self-attention, then the feed-forward part, each added to its input and normalised (Vaswani et al., 2017)."""
        query, key, value = (
            self._linear(states, f"{at}.attention.self.{name}")
            .reshape(*states.shape[:2], self.config.num_attention_heads, -1)
            .transpose(1, 2)
            for name in ("query", "key", "value")
        )
        attended = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        states = self._norm(states + self._linear(attended, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        inner = functional.gelu(self._linear(states, f"{at}.intermediate.dense"))
        return self._norm(states + self._linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")

    def _linear(self, states: Tensor, at: str) -> Tensor:
        out = functional.linear(states, self.weights[f"{at}.weight"], self.weights[f"{at}.bias"])
        return out + self.low_rank[at].of(states) if at in self.low_rank else out

    def _norm(self, states: Tensor, at: str) -> Tensor:
        weight, bias = self.weights[f"{at}.weight"], self.weights[f"{at}.bias"]
        return functional.layer_norm(states, states.shape[-1:], weight, bias, self.config.layer_norm_eps)


class Encoder:
    """Texts to vectors of unit length, (n, width).

    Args:
        folder: of the model, or of an adapter.
        device: where its weights lie and its layers run.

    Raises:
        BadSettings: the folder lacks a file, has a part that we do not know, is an adapter for another encoder, or needs a package
            that is not installed; says which.
    """

    def __init__(self, folder: Path, device: torch.device = CPU) -> None:
        adapter, folder = folder, frozen(folder)
        config, self._device = read(folder / "config.json", Config), device
        weights = there(folder / "model.safetensors")
        self.states: States = Bert(load_file(weights, str(device)), config) if config.is_own else _foreign(folder, device)
        if adapter != folder:
            _adapt(self.states, adapter, device)
        self._first_piece = _pooling(folder) == "cls"
        self._tokenizer = Tokenizer.from_file(str(there(folder / "tokenizer.json")))
        self._tokenizer.no_padding()
        said, own = read(folder / "sentence_bert_config.json", Pieces, Pieces()).max_seq_length, self._tokenizer.truncation
        self._tokenizer.enable_truncation(said or (own["max_length"] if own else LONGEST))

    @torch.inference_mode()
    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Vectors in the texts' order."""
        vectors = np.zeros((0, 0), np.float32)
        for places, part in self.parts(texts):
            if not len(vectors):
                vectors = np.zeros((len(texts), part.shape[1]), np.float32)
            vectors[places] = part.cpu().numpy()
        return vectors

    def parts(self, texts: list[str]) -> Iterator[tuple[list[int], Tensor]]:
        """Texts of one length in word pieces go together, so that nothing is padded: their places, and their vectors (k, width)."""
        pieces = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        by_length: dict[int, list[int]] = {}
        for i, ids in enumerate(pieces):
            by_length.setdefault(len(ids), []).append(i)
        for chosen in by_length.values():
            for start in range(0, len(chosen), BATCH):
                part = chosen[start : start + BATCH]
                states = self.states(torch.tensor([pieces[i] for i in part], device=self._device))
                yield part, functional.normalize(states[:, 0] if self._first_piece else states.mean(1), dim=1)


def _pooling(folder: Path) -> str:
    """How the pieces' states become one vector: ``mean`` or ``cls``."""
    for module in read(folder / "modules.json", list[Module], []):
        if (kind := module.type.rsplit(".", 1)[-1]) not in ("Transformer", "Pooling", "Normalize"):
            raise BadSettings(f"the encoder in {folder} has a module {kind}, which we do not compute")
    mode = read(folder / "1_Pooling" / "config.json", Pooling, Pooling("mean")).mode
    if mode not in ("mean", "cls"):
        raise BadSettings(f"the encoder in {folder} pools by {mode}; we know mean and cls")
    return str(mode)


def _adapt(states: States, folder: Path, device: torch.device) -> None:
    """Add an adapter's terms."""
    said, parts = read(folder / ADAPTER, Adapter), load_file(there(folder / TERMS), str(device))
    layers = {name.removeprefix(PEFT).split(".lora_")[0] for name in parts}
    down, up = ({layer: f"{PEFT}{layer}.lora_{part}.weight" for layer in layers} for part in "AB")
    known = said.is_plain and parts.keys() == {*down.values(), *up.values()}
    if not (known and isinstance(states, Bert) and all(f"{layer}.weight" in states.weights for layer in layers)):
        raise BadSettings(f"the adapter in {folder} is more than low-rank terms of one scale in the layers of a BERT")
    scale = said.lora_alpha / said.r
    states.low_rank = {layer: LowRank(parts[down[layer]].float(), parts[up[layer]].float(), scale) for layer in layers}


def _foreign(folder: Path, device: torch.device) -> States:
    """Through ``transformers``, for any other architecture that it knows."""
    try:
        from transformers import AutoModel
    except ImportError:
        raise BadSettings(f"the encoder in {folder} is no BERT: it needs transformers: pip install 'freshet[encoder]'") from None
    model = AutoModel.from_pretrained(folder, use_safetensors=True, local_files_only=True).float().eval().to(device)
    return lambda ids: model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
