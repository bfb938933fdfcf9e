"""What the model reads of a batch beside its table rows, on the learner's device."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from services.updater.learning.batches import Batch
from services.updater.learning.catalogue import Assortment
from services.updater.learning.device import moved
from services.updater.learning.tables import Tables
from shared.model.numbers import Normaliser


class Columns(NamedTuple):
    """n rows, in the order in which :class:`services.updater.learning.model.Ranker` takes them."""

    text: Tensor
    """(n, T)."""
    profile: Tensor
    """(n, T)."""
    pooled: Tensor
    """(n, D) as the items' vectors are now; zeros without pooling."""
    dense: Tensor
    """(n, U + C) normalised."""
    log_odds: Tensor
    """(n,)."""

    @classmethod
    def of(cls, batch: Batch, assortment: Assortment, tables: Tables, normaliser: Normaliser, *, pooling: bool) -> "Columns":
        """Of all rows at once; what lists of one history share is worked out once."""
        device = tables.values.device
        used, of_lists = np.unique(batch.history, return_inverse=True)
        histories, of_rows = batch.histories.part(used), moved(of_lists[batch.list], device)
        pooled = tables.pooled(histories.keys, histories.shares) if pooling else torch.zeros(len(used), tables.dim, device=device)
        return cls(
            text=assortment.on(device).index_select(0, moved(batch.text, device)).float(),
            profile=moved(histories.profiles, device).index_select(0, of_rows),
            pooled=pooled.index_select(0, of_rows),
            dense=moved(normaliser(batch.numbers()), device),
            log_odds=moved(batch.log_odds, device),
        )
