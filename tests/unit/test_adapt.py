"""Adapting the text encoder: which titles are pairs, that training brings them nearer, and what is written of it."""

from pathlib import Path

import numpy as np
import pytest
import structlog
from safetensors.torch import load_file

from services.updater.adapt import Training, adapted, bought_together, write
from services.updater.texts.encoder import Encoder
from services.updater.texts.vectors import identity
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
    weights = adapted(source, PAIRS, QUICK, log)
    assert weights is not None
    before = load_file(source / "model.safetensors")
    moved = {name for name in before if not before[name].equal(weights[name])}
    assert moved == {f"encoder.layer.{n}.attention.self.{name}.weight" for n in range(2) for name in ("query", "value")}

    def near(folder: Path) -> float:
        """How much nearer a partner is than the other pairs' titles."""
        one, other = (Encoder(folder).encode(list(texts)) for texts in zip(*PAIRS[:4], strict=True))
        return float(np.trace(one @ other.T) / 4 - (one @ other.T).mean())

    made = write(weights, source, tmp_path / "to", identity(str(source)))
    assert near(made) > near(source) + 0.05
    assert made.name.startswith(identity(str(source)))
    assert identity(str(made)) != identity(str(source))
    assert write(weights, source, tmp_path / "to", identity(str(source))) == made


def test_the_same_pairs_make_the_same_weights(tmp_path: Path) -> None:
    source = encoders.tiny(tmp_path / "tiny")
    one, other = (adapted(source, PAIRS, QUICK, log) for _ in range(2))
    assert one is not None
    assert other is not None
    assert all(one[name].equal(other[name]) for name in one)


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
