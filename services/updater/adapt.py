"""Adapt the text encoder to a shop: ``python -m services.updater.adapt [SHOP]`` makes a folder for ``FRESHET_UPDATER_ENCODER``.

Low-rank terms in the encoder's layers (LoRA; Hu et al., 2021) learn that titles bought together have near vectors: InfoNCE with the
other pairs of the step as negatives (van den Oord et al., 2018). Then they are merged into the weights of an encoder of its own, or
with ``--adapter`` kept apart in peft's files, for the frozen encoder where it lies: the vectors are the same. Off the learning
path, and before the import of history, whose base is then learned on the new vectors.

Without a shop's folder it is the demo's. Where the held-back pairs, the newest, are not surely nearer than before, none is made.
So it was with the demo's after 80 steps. Whether cold items are ranked better, ``python -m tests.bench.adaptation`` asks.
"""

import argparse
import hashlib
import shutil
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors.torch import load_file, save
from structlog.stdlib import BoundLogger
from torch import Tensor
from torch.nn import functional

from services.updater.history.importing import journey
from services.updater.history.shop_files import ShopFiles
from services.updater.learning.device import choose
from services.updater.settings import HistorySettings
from services.updater.texts.encoder import PEFT, Bert, Encoder, LowRank
from services.updater.texts.folders import ADAPTER, INSTALLED, PARTS, TERMS, Adapter, identity, model_folder
from shared.datasets.moments import Moment, Shop
from shared.errors import BadSettings
from shared.tasks import task
from shared.telemetry import log, plainly

TOGETHER = 86_400.0
"""Seconds within which two purchases of a user are of one mind."""
TEMPERATURE = 0.05
SCALE = 2.0
"""Of the terms; peft's ``lora_alpha`` is it times the rank."""
HELD_BACK = 0.1
"""Share of the pairs, the newest, that decide whether the encoder has become better."""
MOST_HELD_BACK = 512
SURELY = 0.02
"""What the AUC of the held-back pairs must gain. On Online Retail 300 steps gained .008 (.5271 to .5352), and the ranking that was
learned on such vectors, beside ids alone, fell from .6868 to .6386."""
Pair = tuple[str, str]


def main(
    settings: HistorySettings, folder: Path | None, to: Path, training: "Training", logger: BoundLogger, *, apart: bool = False
) -> Path | None:
    """Train, merge unless the terms are to be kept apart, and write; the new encoder's folder, or ``None`` where it is no better.

    Raises:
        BadSettings: the encoder's architecture is not ours to adapt, or the shop's past holds too few pairs.
    """
    declared = task(settings.task)
    shop: Shop = ShopFiles(folder, declared.labels[0], declared.learning.seed) if folder else journey(settings)
    titles = {item_id: item.title for item_id, item in shop.items.items()}
    pairs = bought_together(shop.moments(), titles, declared.labels[0], declared.learning.seed)
    encoder = settings.updater_encoder
    name, source = identity(encoder), model_folder(encoder)
    bert = adapted(source, pairs, training, logger)
    if bert is None:
        return None
    made = write(adapter(bert, training, encoder) if apart else whole(bert, source), to, name)
    logger.info("adapted", set=f"FRESHET_UPDATER_ENCODER={made}")
    return made


def bought_together(moments: Iterable[Moment], titles: dict[str, str], label: str, seed: int) -> list[Pair]:
    """Titles that one user bought within :data:`TOGETHER`, in time order: each purchase with one before it, chosen by chance."""
    rng, pairs = np.random.default_rng(seed), list[Pair]()
    recent: defaultdict[str, deque[tuple[float, str]]] = defaultdict(deque)
    for moment in moments:
        before = recent[moment.user_id]
        while before and before[0][0] < moment.time - TOGETHER:
            before.popleft()
        for event in moment.events:
            title = titles.get(event.item_id) if event.action == label else None
            if not title:
                continue
            others = [other for _, other in before if other != title]
            if others:
                pairs.append((others[rng.integers(len(others))], title))
            before.append((moment.time, title))
    return pairs


@dataclass(frozen=True, slots=True)
class Training:
    """How the low-rank terms learn."""

    rank: int = 8
    targets: tuple[str, ...] = ("query", "value")
    """Layers that get a term, by the last part of the name, in every block."""
    steps: int = 200
    pairs: int = 32
    """In a step; each is a negative to the others."""
    rate: float = 5e-4
    seed: int = 7


def adapted(source: Path, pairs: list[Pair], training: Training, logger: BoundLogger) -> Bert | None:
    """The encoder's network with terms that learned; ``None`` where it is no better.

    Raises:
        BadSettings: see :func:`main`.
    """
    choose("cpu")
    encoder, bert = own(source)
    cut = len(pairs) - min(int(len(pairs) * HELD_BACK), MOST_HELD_BACK)
    if cut < training.pairs or cut == len(pairs):
        raise BadSettings(f"the shop's past holds {len(pairs)} pairs bought together: too few to learn from")
    bert.low_rank = low_rank(bert, training)
    before = auc(encoder, pairs[cut:], training.pairs)
    train(encoder, bert, pairs[:cut], training, logger)
    after = auc(encoder, pairs[cut:], training.pairs)
    logger.info("held-back pairs", pairs=len(pairs) - cut, auc_before=round(before, 4), auc_after=round(after, 4))
    return bert if after > before + SURELY else None


def own(source: Path) -> tuple[Encoder, Bert]:
    """The encoder, and the network that it computes by itself.

    Raises:
        BadSettings: it goes through ``transformers``, or has terms already.
    """
    encoder = Encoder(source)
    if isinstance(encoder.states, Bert) and encoder.states.low_rank:
        raise BadSettings(f"what is in {source} is an adapter: adapt the encoder that it is for, with all pairs")
    if not isinstance(encoder.states, Bert):
        raise BadSettings(f"the encoder in {source} is no BERT: adaptation knows BERT and RoBERTa alone")
    return encoder, encoder.states


def low_rank(bert: Bert, training: Training) -> dict[str, LowRank]:
    """Terms that begin as zero: ``down`` by chance, ``up`` at 0.

    Raises:
        BadSettings: no layer of the network has a target's name.
    """
    draws, found = torch.Generator().manual_seed(training.seed), dict[str, LowRank]()
    for name, weight in bert.weights.items():
        layer, _, kind = name.rpartition(".")
        if kind == "weight" and layer.startswith("encoder.layer.") and layer.rsplit(".", 1)[-1] in training.targets:
            outputs, inputs = weight.shape
            down = torch.empty(training.rank, inputs).uniform_(-(inputs**-0.5), inputs**-0.5, generator=draws)
            found[layer] = LowRank(down.requires_grad_(), torch.zeros(outputs, training.rank).requires_grad_(), SCALE)
    if not found:
        raise BadSettings(f"no layer ends in {', '.join(training.targets)}; there is query, key, value, dense")
    return found


def train(encoder: Encoder, bert: Bert, pairs: list[Pair], training: Training, logger: BoundLogger) -> None:
    """Steps over pairs drawn by chance; the same seed makes the same terms."""
    rng = np.random.default_rng(training.seed)
    weights = [part for term in bert.low_rank.values() for part in (term.down, term.up)]
    optimiser = torch.optim.AdamW(weights, lr=training.rate, weight_decay=0.01)
    for step in range(1, training.steps + 1):
        drawn = [pairs[i] for i in rng.choice(len(pairs), training.pairs, replace=False)]
        value = info_nce(encoder, drawn)
        torch.autograd.backward(value)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if step % 20 == 0:
            logger.info("adapting", step=step, of=training.steps, loss=round(value.item(), 4))


def info_nce(encoder: Encoder, pairs: list[Pair]) -> Tensor:
    """−log of the share that a title gives its own partner among the step's."""
    similar, others = compared(encoder, pairs)
    left_out = ~others & ~torch.eye(len(pairs), dtype=torch.bool)
    return functional.cross_entropy((similar / TEMPERATURE).masked_fill(left_out, -torch.inf), torch.arange(len(pairs)))


def compared(encoder: Encoder, pairs: list[Pair]) -> tuple[Tensor, Tensor]:
    """Cosine of each title and each partner, and which of the partners are others than its own by their titles; (n, n) each."""
    left, right = zip(*pairs, strict=True)
    others = torch.tensor([[one != other for other in right] for one in right])
    return vectors(encoder, left) @ vectors(encoder, right).T, others


def vectors(encoder: Encoder, texts: Iterable[str]) -> Tensor:
    """(n, width), with gradients."""
    places, parts = zip(*encoder.parts(list(texts)), strict=True)
    return torch.cat(parts)[np.argsort(np.concatenate(places))]


@torch.no_grad()
def auc(encoder: Encoder, pairs: list[Pair], together: int) -> float:
    """Share of other partners that are farther from a title than its own is: 0.5 by chance. The loss would also fall where all
    vectors come together; this does not rise by it.
    """
    farther, all_others = 0, 0
    for start in range(0, len(pairs), together):
        similar, others = compared(encoder, pairs[start : start + together])
        farther += int(((similar < similar.diagonal()[:, None]) & others).sum())
        all_others += int(others.sum())
    return farther / max(all_others, 1)


@torch.no_grad()
def merged(bert: Bert, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """W + scale · up down, for every layer with a term."""
    for layer, term in bert.low_rank.items():
        name = f"{bert.prefix}{layer}.weight"
        weights[name] = (weights[name].float() + term.scale * term.up @ term.down).to(weights[name].dtype)
    return weights


def whole(bert: Bert, source: Path) -> dict[str, bytes]:
    """The files of an encoder like ``source`` into whose weights the terms are merged."""
    files = {part: (source / part).read_bytes() for part in (*PARTS, "modules.json") if (source / part).exists()}
    return files | {"model.safetensors": save(merged(bert, load_file(source / "model.safetensors")))}


def adapter(bert: Bert, training: Training, encoder: str) -> dict[str, bytes]:
    """The files of the terms alone, for an encoder as ``FRESHET_UPDATER_ENCODER`` names it."""
    parts = {
        f"{PEFT}{layer}.lora_{part}.weight": weight
        for layer, term in bert.low_rank.items()
        for part, weight in (("A", term.down), ("B", term.up))
    }
    said = Adapter(
        base_model_name_or_path=encoder if encoder == INSTALLED else str(Path(encoder).resolve()),
        revision=identity(encoder),
        r=training.rank,
        lora_alpha=SCALE * training.rank,
        target_modules=sorted(bert.low_rank),
    )
    return {TERMS: save(parts, {"format": "pt"}), ADAPTER: msgspec.json.format(msgspec.json.encode(said))}


def write(files: Mapping[str, bytes], to: Path, name: str) -> Path:
    """An encoder's folder, named by what it was made of and by its weights; whole or not at all."""
    data = files.get("model.safetensors") or files[TERMS]
    folder = to / f"{name}-adapted-{hashlib.sha256(data).hexdigest()[:16]}"
    partial = folder.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    for part, content in files.items():
        (partial / part).parent.mkdir(parents=True, exist_ok=True)
        (partial / part).write_bytes(content)
    shutil.rmtree(folder, ignore_errors=True)
    return partial.rename(folder)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    usual, parser = Training(), argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shop", nargs="?", type=Path, help="folder of the shop's past, as history reads it")
    parser.add_argument("--to", type=Path, default=Path("encoders"), help="where the encoder's folder is made")
    parser.add_argument("--adapter", action="store_true", help="keep the terms apart, as peft does, for the encoder where it lies")
    parser.add_argument("--rank", type=int, default=usual.rank)
    parser.add_argument("--targets", default=",".join(usual.targets), help="of query, key, value, dense")
    parser.add_argument("--steps", type=int, default=usual.steps, help="of half a second of a core each")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    training = Training(rank=given.rank, targets=tuple(given.targets.split(",")), steps=given.steps)
    with plainly("adapt"):
        settings = HistorySettings.read()
        logger = log("adapt", settings.log_level)
        if main(settings, given.shop, given.to, training, logger, apart=given.adapter) is None:
            logger.warning("no encoder was made: the held-back pairs are not surely nearer than before")
