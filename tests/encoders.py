"""Text encoders small enough for a test: random weights, in a folder as sentence-transformers saves it."""

from pathlib import Path

import msgspec
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

WIDTH, INNER, LAYERS, HEADS = 32, 48, 2, 4
WORDS = (
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    "green",
    "black",
    "tea",
    "té",
    "verde",
    "чай",
    "茶",
    "milk",
    "lait",
    "bread",
    "brot",
    "pan",
)
TEXTS = ["green tea", "té verde", "чай", "茶 茶 茶", "milk bread pan lait", "unheard words of it"]


def tiny(folder: Path, model_type: str = "bert", *, pooling: str = "", seed: int = 0, **config: object) -> Path:
    """A folder with an encoder of this type, which reads :data:`WORDS`."""
    folder.mkdir(parents=True, exist_ok=True)
    roberta = model_type != "bert"
    torch.manual_seed(seed)
    save_file(_weights(types=1 if roberta else 2), folder / "model.safetensors")
    said = {
        "model_type": model_type, "hidden_size": WIDTH, "intermediate_size": INNER, "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS, "vocab_size": len(WORDS), "max_position_embeddings": 40, "pad_token_id": 1,
        "type_vocab_size": 1 if roberta else 2, "layer_norm_eps": 1e-5 if roberta else 1e-12, "hidden_act": "gelu",
    }  # fmt: skip
    (folder / "config.json").write_bytes(msgspec.json.encode(said | config))
    _tokenizer().save(str(folder / "tokenizer.json"))
    if pooling:
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling" / "config.json").write_bytes(msgspec.json.encode({"pooling_mode": pooling}))
    return folder


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer


def _weights(types: int) -> dict[str, torch.Tensor]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": (40, WIDTH),
        "embeddings.token_type_embeddings.weight": (types, WIDTH),
        "pooler.dense.weight": (WIDTH, WIDTH), "pooler.dense.bias": (WIDTH,),
    }  # fmt: skip
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        linear = {
            "attention.self.query": (WIDTH, WIDTH),
            "attention.self.key": (WIDTH, WIDTH),
            "attention.self.value": (WIDTH, WIDTH),
        }
        linear |= {"attention.output.dense": (WIDTH, WIDTH), "intermediate.dense": (INNER, WIDTH), "output.dense": (WIDTH, INNER)}
        for name, shape in linear.items():
            shapes |= {f"{at}.{name}.weight": shape, f"{at}.{name}.bias": shape[:1]}
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    weights = {name: torch.randn(shape) * 0.3 for name, shape in shapes.items()}
    for at in norms:
        weights |= {f"{at}.weight": 1 + 0.1 * torch.randn(WIDTH), f"{at}.bias": 0.1 * torch.randn(WIDTH)}
    return weights
