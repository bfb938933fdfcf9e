"""The model card beside every full bundle: what the model is, what it learned, how good it was, and what it is not for."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from shared.messages import Inputs
from shared.tasks import Task

METRICS = ("auc", "logloss", "ece", "group_auc")
PREDICTIONS = {"live": "the learner", "calibrated": "the learner, calibrated", "served": "as served", "frozen": "the frozen base"}
SLICES = {"": "", "cold.": ", items shown fewer than 20 times", "young.": ", items first acted upon within a week"}


def card(task: Task, inputs: Inputs, trainable: tuple[str, ...], version: str, created: float, metrics: Mapping[str, float]) -> str:
    """Markdown.

    Args:
        task: what is predicted, and how it is learned.
        inputs: dense features by name.
        trainable: the weights that move.
        version: the bundle's.
        created: seconds since 1970 UTC.
        metrics: prequential, over the settled rows (see ``Prequential.measure``); the base's are
            those of pretraining.
    """
    model, learning = task.model, task.learning
    lines = [
        f"# {task.name} {version}",
        "",
        f"Made {datetime.fromtimestamp(created, UTC):%Y-%m-%d %H:%M:%S} UTC. Ranks items for a shopper by the probability of "
        f"{', '.join(task.labels)}; the first decides the order.",
        "",
        "## Model",
        f"Field vectors of {model.dim} for {', '.join(model.capacity)}; text vectors of {model.text_dim}; layers {model.hidden}; "
        f"{len(inputs.user)} inputs of the user, {len(inputs.candidate)} of a candidate, each in {model.bins} bins.",
        f"Moves: {', '.join(trainable)}. Frozen: the text encoder{''.join(f', {part}' for part in model.frozen)}.",
        "",
        "## Learning",
        f"One pass over each window, {learning.batch} rows a step, seed {learning.seed}. Late outcomes come as corrections. "
        "The manifest lists windows, offsets and outcomes; plans and log make the same weights again, bit for bit.",
        "",
        "## Quality",
        *_quality(metrics),
        "",
        "## Limits",
        "Predictions are of what was shown: an item that is never shown is never learned. Scores of sampled lists are right only "
        "with the sampling's log-odds. Counters are the shop's own behaviour, bots included where none are kept out.",
        "",
        "## Inputs",
        ", ".join((*inputs.user, *inputs.candidate)) + ".",
    ]
    return "\n".join(lines) + "\n"


def _quality(metrics: Mapping[str, float]) -> Iterator[str]:
    if "rows" not in metrics:  # the base, or a life whose rows' labels are not final yet
        told = ", ".join(f"{name.removeprefix('pretraining.')} {value:,.4g}" for name, value in metrics.items())
        yield f"Of the lists that pretraining held back: {told}." if told else "Nothing has settled yet: no row's label is final."
        return
    rows, positives = metrics["rows"], metrics["positives"]
    yield f"Over {rows:,.0f} settled rows, {positives:,.0f} of them positive, each predicted before it was learned:"
    yield ""
    yield f"| | {' | '.join(METRICS)} |"
    yield f"|---|{'---|' * len(METRICS)}"
    for slice_name, title in SLICES.items():
        for prediction, name in PREDICTIONS.items():
            values = [metrics.get(f"{prediction}.{slice_name}{metric}") for metric in METRICS]
            if any(value is not None for value in values):
                yield f"| {name}{title} | {' | '.join('–' if value is None else f'{value:.4f}' for value in values)} |"
