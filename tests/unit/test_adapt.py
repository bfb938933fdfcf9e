"""Adapting the text encoder: which titles are pairs, that training brings them nearer, and what is written of it."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import structlog
import torch
from safetensors.torch import load_file, save_file

from services.updater import adapt
from services.updater.adapt import Training, adapted, adapter, bought_together, merged, whole, write
from services.updater.texts.encoder import Bert, Encoder
from services.updater.texts.folders import identity
from shared.datasets.moments import Moment
from shared.errors import BadSettings
from shared.messages import Behaviour
from tests import encoders
from tests.learning import EPOCH

log = structlog.stdlib.get_logger()
QUICK = Training(rank=4, steps=30, pairs=4, rate=5e-3)
PAIRS = [("green tea", "milk"), ("black tea", "lait"), ("bread", "verde"), ("brot", "té")] * 20


def moment(user: str, time: float, *items: str, action: str = "purchase") -> Moment:
    events = (Behaviour(event_id=f"{user}{time}{item}", user_id=user, item_id=item, action=action, time=EPOCH) for item in items)
    return Moment(user, time, tuple(events))


def learned(source: Path) -> Bert:
    """The network with terms that learned :data:`PAIRS`."""
    bert = adapted(source, PAIRS, QUICK, log)
    assert bert is not None
    return bert


def test_pairs_are_titles_that_one_user_bought_within_a_day() -> None:
    titles = {"tea": "green tea", "milk": "milk", "tea 2": "green tea", "bag": "", "bread": "bread"}
    day = 86_400.0
    moments = [
        moment("ana", 0, "tea", "tea 2", "milk", "bag", "unlisted"),
        moment("bob", 1, "bread"),
        moment("ana", 2, "bread", action="view"),
        moment("bob", 1 + 2 * day, "milk"),
        moment("bob", 1 + 3 * day, "tea"),
    ]
    assert bought_together(moments, titles, "purchase", 1) == [("green tea", "milk"), ("milk", "green tea")]


def test_training_brings_what_is_bought_together_nearer_and_the_merged_weights_say_so(tmp_path: Path) -> None:
    source = encoders.tiny(tmp_path / "tiny")
    bert = learned(source)
    before = load_file(source / "model.safetensors")
    weights = merged(bert, dict(before))
    moved = {name for name in before if not before[name].equal(weights[name])}
    assert moved == {f"encoder.layer.{n}.attention.self.{name}.weight" for n in range(2) for name in ("query", "value")}

    def near(folder: Path) -> float:
        """How much nearer a partner is than the other pairs' titles."""
        one, other = (Encoder(folder).encode(list(texts)) for texts in zip(*PAIRS[:4], strict=True))
        return float(np.trace(one @ other.T) / 4 - (one @ other.T).mean())

    made = write(whole(bert, source), tmp_path / "to", identity(str(source)))
    assert near(made) > near(source) + 0.05
    assert made.name.startswith(identity(str(source)))
    assert identity(str(made)) != identity(str(source))
    assert write(whole(bert, source), tmp_path / "to", identity(str(source))) == made


def test_the_same_pairs_make_the_same_weights(tmp_path: Path) -> None:
    source = encoders.tiny(tmp_path / "tiny")
    one, other = (learned(source).low_rank for _ in range(2))
    assert all(one[layer].up.equal(other[layer].up) and one[layer].down.equal(other[layer].down) for layer in one)


def kept_apart(tmp_path: Path) -> tuple[Path, Path, Path]:
    """An encoder's folder, that of an adapter for it, and that of the encoder with the same terms merged in."""
    source = encoders.tiny(tmp_path / "tiny")
    bert, name = learned(source), identity(str(source))
    return source, write(adapter(bert, QUICK, str(source)), tmp_path / "to", name), write(whole(bert, source), tmp_path, name)


def test_terms_kept_apart_make_the_vectors_of_the_terms_merged_in(tmp_path: Path) -> None:
    source, apart, together = kept_apart(tmp_path)
    of_apart, of_together, before = (Encoder(folder).encode(encoders.TEXTS) for folder in (apart, together, source))
    assert np.abs(of_apart - of_together).max() < 1e-5
    assert np.abs(of_apart - before).max() > 1e-2
    assert sorted(path.name for path in apart.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]


def test_other_terms_are_filed_under_another_name(tmp_path: Path) -> None:
    _, apart, _ = kept_apart(tmp_path)
    names = {identity(str(apart))}
    for file in apart.iterdir():
        file.write_bytes(file.read_bytes() + b" ")
        names.add(identity(str(apart)))
    assert len(names) == 3


def test_an_adapter_for_another_encoder_is_refused(tmp_path: Path) -> None:
    source, apart, _ = kept_apart(tmp_path)
    encoders.tiny(source, seed=1)
    for refusing in (identity, lambda folder: Encoder(Path(folder))):
        with pytest.raises(BadSettings, match=r"for the encoder tiny-\w{16}, and .*tiny is tiny-\w{16}"):
            refusing(str(apart))


def test_an_adapter_is_not_adapted_and_no_adapter_is_for_it(tmp_path: Path) -> None:
    _, apart, _ = kept_apart(tmp_path)
    with pytest.raises(BadSettings, match="is an adapter: adapt the encoder that it is for"):
        adapted(apart, PAIRS, QUICK, log)
    other = write(adapter(learned(encoders.tiny(tmp_path / "tiny")), QUICK, str(apart)), tmp_path / "to", "other")
    with pytest.raises(BadSettings, match="which is an adapter itself"):
        identity(str(other))


@pytest.mark.parametrize("said", [{"use_rslora": True}, {"peft_type": "LOHA"}, {"alpha_pattern": {"query": 3}}])
def test_an_adapter_that_adds_something_else_is_refused(said: dict[str, object], tmp_path: Path) -> None:
    _, apart, _ = kept_apart(tmp_path)
    config = apart / "adapter_config.json"
    config.write_bytes(msgspec.json.encode(msgspec.json.decode(config.read_bytes()) | said))
    with pytest.raises(BadSettings, match="more than low-rank terms of one scale"):
        Encoder(apart)


def test_an_adapter_with_weights_of_another_kind_is_refused(tmp_path: Path) -> None:
    _, apart, _ = kept_apart(tmp_path)
    terms = apart / "adapter_model.safetensors"
    save_file(
        load_file(terms) | {"base_model.model.encoder.layer.0.attention.self.query.lora_magnitude_vector": torch.ones(32)}, terms
    )
    with pytest.raises(BadSettings, match="more than low-rank terms of one scale"):
        Encoder(apart)


@pytest.mark.parametrize(("after", "made"), [(0.53, False), (0.56, True)])
def test_an_encoder_that_became_a_little_better_is_none_either(
    after: float, made: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = iter([0.527, after])
    monkeypatch.setattr(adapt, "auc", lambda *_: next(asked))
    found = adapted(encoders.tiny(tmp_path / "tiny"), PAIRS, Training(steps=1, pairs=4), log)
    assert (found is not None) is made


def test_an_encoder_that_became_no_better_is_none(tmp_path: Path) -> None:
    turned = [("green tea", "lait"), ("black tea", "milk"), ("bread", "té"), ("brot", "verde")] * 2
    assert adapted(encoders.tiny(tmp_path / "tiny"), PAIRS + turned, QUICK, log) is None


@pytest.mark.parametrize(
    ("pairs", "training", "says"),
    [(PAIRS[:3], QUICK, "too few"), (PAIRS, Training(targets=("querry",)), "no layer ends in querry")],
)
def test_what_cannot_be_learned_is_one_sentence(
    pairs: list[tuple[str, str]], training: Training, says: str, tmp_path: Path
) -> None:
    with pytest.raises(BadSettings, match=says):
        adapted(encoders.tiny(tmp_path / "tiny"), pairs, training, log)
