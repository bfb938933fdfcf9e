"""Public sets by name, as shops whose past can be played or imported: ``trivago:FOLDER`` is the set that lies in the folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile, takewhile
from pathlib import Path

from shared.datasets import clickstreams, online_retail, open_bandit, trivago
from shared.datasets.moments import Moment, Shop
from shared.datasets.movielens import MovieLens
from shared.datasets.open_bandit import OpenBandit
from shared.datasets.trivago import Trivago
from shared.errors import BadSettings
from shared.tasks import Task


@dataclass(frozen=True, slots=True)
class PublicShop:
    """How a set is read, and what its lists are about."""

    name: str
    read: Callable[[Path, int], Shop]
    """From its folder, and a seed of what is drawn."""
    label: str
    """The action that answers a list."""
    context: tuple[str, ...] = ()
    """Numbers that it knows of each candidate."""

    def check(self, task: Task) -> None:
        """Refuse a task that cannot learn from it.

        Raises:
            BadSettings: says what the task has to declare.
        """
        if self.label not in task.labels:
            labels = ", ".join(task.labels)
            raise BadSettings(f"{self.name} answers its lists by {self.label!r}, and task {task.name!r} has the labels {labels}")
        if missing := [name for name in self.context if name not in task.context]:
            raise BadSettings(
                f"{self.name} tells of each item {', '.join(missing)}, which task {task.name!r} has not in its context"
            )


SHOPS = {
    shop.name: shop
    for shop in (
        PublicShop("movielens_100k", lambda folder, seed: MovieLens(folder), "purchase"),
        PublicShop("online_retail", lambda folder, seed: online_retail.load(folder, 1.0, seed), "purchase"),
        PublicShop("open_bandit", lambda folder, seed: OpenBandit(folder, "random"), "click", open_bandit.CONTEXT),
        PublicShop("rees46", clickstreams.rees46, "view"),
        PublicShop("retail_rocket", lambda folder, seed: clickstreams.retail_rocket(folder, 1.0, seed), "view"),
        PublicShop("trivago", lambda folder, seed: Trivago(folder), "click", trivago.CONTEXT),
    )
}


def named(words: str) -> tuple[PublicShop, Path]:
    """The set and its folder, of ``NAME:FOLDER``.

    Raises:
        BadSettings: there is no such set, or no folder is named.
    """
    name, _, folder = words.partition(":")
    if name not in SHOPS or not folder:
        raise BadSettings(f"{words!r} is no NAME:FOLDER of a set; there is {', '.join(SHOPS)}")
    return SHOPS[name], Path(folder)


def between(moments: Iterator[Moment], start: datetime, end: datetime) -> Iterator[Moment]:
    """Those of start ≤ time < end; the moments are in time order."""
    first, last = start.timestamp(), end.timestamp()
    return takewhile(lambda moment: moment.time < last, dropwhile(lambda moment: moment.time < first, moments))
