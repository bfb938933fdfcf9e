"""The ranking model as a torch module: field vectors, their pairwise products, and a small network over them.

The formula and the weights' names are those of ``shared/model/README.md``; serving computes the same in ONNX Runtime.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.updater.learning.draws import kept
from shared.bundles.files import BIN_PARTS, FIELDS
from shared.model.numbers import Bins

SLIGHT = 0.01
"""Deviation of what the bins bring to the first layer at first."""


class Ranker(nn.Module):
    """Logits of n shown items, one column a label.

    Args:
        dense: U + C, normalised features of the user and the candidate.
        labels: L, heads.
        dim: D, width of a field's vector.
        hidden: widths of the layers.
        text_dim: T, width of a text's vector.
        dropout: share of hidden units dropped in training.
        pooling: whether the vectors of the items in a history are part of the profile.
        bins: of each dense feature; 0 for none.
    """

    low: Tensor
    slope: Tensor

    def __init__(
        self, dense: int, labels: int, dim: int, hidden: tuple[int, ...], text_dim: int, dropout: float, pooling: bool, bins: int
    ) -> None:
        super().__init__()
        self.dim, self.dropout = dim, dropout
        self.drop: Callable[[Tensor, float], Tensor] = drop  # processes that learn together drop together
        self.bias = nn.Parameter(torch.zeros(1))
        self.cosine_weight = nn.Parameter(torch.zeros(1))
        self.text_linear = nn.Parameter(torch.zeros(text_dim))
        bound = text_dim**-0.5
        self.text_projection = nn.Parameter(torch.empty(dim, text_dim).uniform_(-bound, bound))
        self.text_projection_bias = nn.Parameter(torch.zeros(dim))
        self.profile_projection = nn.Parameter(torch.empty(dim, text_dim).uniform_(-bound, bound))
        self.profile_projection_bias = nn.Parameter(torch.zeros(dim))
        self.pooling = nn.Parameter(torch.eye(dim)) if pooling else None
        self.bins_linear = nn.Parameter(torch.zeros(dense * bins)) if bins else None
        self.bins_projection = nn.Parameter(torch.empty(BIN_PARTS, dense * bins).normal_(0, SLIGHT)) if bins else None
        for name in ("low", "slope"):
            self.register_buffer(name, torch.zeros(dense, bins), persistent=False)
        widths = (len(FIELDS) * dim + dense + 1 + (BIN_PARTS if bins else 0), *hidden)
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in zip(widths, hidden, strict=False))
        self.heads = nn.Linear(hidden[-1], labels)

    @torch.no_grad()
    def place(self, bins: Bins) -> None:
        """From now on bins lie there."""
        self.low.copy_(torch.from_numpy(bins.low))
        self.slope.copy_(torch.from_numpy(bins.slope))

    def forward(self, rows: Tensor, text: Tensor, profile: Tensor, pooled: Tensor, dense: Tensor, log_odds: Tensor) -> Tensor:
        """Logits (n, L).

        Args:
            rows: (n, 6, D + 1) table rows in the order of TABLES: vectors, then linear weights.
            text: (n, T) the items' text vectors, zeros where there is none.
            profile: (n, T) unit mean of what the user deals with, zeros where there is none.
            pooled: (n, D) the vectors of what the user deals with, see :mod:`shared.model.pooling`.
            dense: (n, U + C) normalised.
            log_odds: (n,) added to every logit.
        """
        vectors, linear = torch.split(rows, [self.dim, 1], dim=2)
        user, item, category, brand, hour, weekday = vectors.unbind(1)  # in the order of TABLES
        taste = functional.linear(profile, self.profile_projection, self.profile_projection_bias)
        if self.pooling is not None:
            taste = taste + functional.linear(pooled, self.pooling)
        described = item + functional.linear(text, self.text_projection, self.text_projection_bias)
        fields = torch.stack([user, hour, weekday, taste, described, category, brand], dim=1)  # (n, 7, D)
        pairs = 0.5 * (fields.sum(1).square().sum(1) - fields.square().sum((1, 2)))
        cosine = torch.linalg.vecdot(text, profile)
        linear = linear.sum((1, 2)) + text @ self.text_linear + self.cosine_weight * cosine
        inputs = [fields.flatten(1), dense, cosine[:, None]]
        if self.bins_linear is not None and self.bins_projection is not None:
            bins = torch.sub(dense[:, :, None], self.low).mul_(self.slope).clamp_(0, 1).flatten(1)  # no weight, so in place
            linear = linear + bins @ self.bins_linear
            inputs.append(functional.linear(bins, self.bins_projection))
        hidden = torch.cat(inputs, dim=1)
        for layer in self.layers:
            hidden = functional.relu(layer(hidden))
            if self.training and self.dropout:
                hidden = self.drop(hidden, self.dropout)
        shared = self.bias + linear + pairs + log_odds
        logits: Tensor = shared[:, None] + self.heads(hidden)
        return logits


def drop(hidden: Tensor, share: float) -> Tensor:
    """Hidden units (n, w) with this share of them dropped."""
    rows, width = hidden.shape
    return hidden * kept(rows, width, share, hidden.device)
