"""A shop that tells clicks and carts too: its task has three labels, a head each. The services that run from here know it."""

import msgspec

from shared.tasks import RANKING, LearningSettings

TASK = msgspec.structs.replace(
    RANKING, labels=("click", "cart", "purchase"), learning=LearningSettings(batch=32, row_rate=0.1, dense_rate=0.01)
)
