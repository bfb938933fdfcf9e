"""MovieLens-100K (GroupLens): who rated which film how, and when: the owner's ``u.data`` and ``u.item``, or RecBole's files.

RecBole's package ships the set as ``recbole/dataset_example/ml-100k``. Every rating is a list of one film: what is to be told is
whether the user likes it. A rating is a view, one of at least :data:`LIKED` a purchase as well.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from shared.datasets.candidates import NOTHING, Candidate, CandidateList
from shared.datasets.files import rows
from shared.datasets.moments import Moment
from shared.messages import Behaviour, Item

OWNER = "https://grouplens.org/datasets/movielens/100k/"
LIKED = 4
RATING = ("user_id", "item_id", "rating", "timestamp")
GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
FILM = ("item_id", "title", "released", "video", "address", *GENRES)


class MovieLens:
    """All ratings, in time order.

    Args:
        folder: with the ratings and the films.

    Raises:
        BadSettings: a file is missing.
    """

    def __init__(self, folder: Path) -> None:
        lines = _read(folder, "u.data", "ml-100k.inter", "\t", RATING)
        self._ratings = sorted(lines, key=lambda line: (line["timestamp"], line["user_id"]))
        opened = _time(self._ratings[0])
        self.items: dict[str, Item] = {
            str(film["item_id"]): Item(item_id=str(film["item_id"]), time=opened, title=f"{title}, {genres}", category=genres[:64])
            for film in _read(folder, "u.item", "ml-100k.item", "|", FILM)
            for title, genres in [_described(film)]
        }

    def moments(self) -> Iterator[Moment]:
        """What a user rated in one second; each rating is a list of its own."""
        for (seconds, user), ratings in groupby(self._ratings, lambda line: (line["timestamp"], line["user_id"])):
            rated = list(ratings)
            events = tuple(event for rating in rated for event in self._events(rating))
            yield Moment(str(user), float(seconds), events, tuple(_list(rating) for rating in rated))

    def _events(self, rating: Mapping[str, Any]) -> Iterator[Behaviour]:
        user, film = str(rating["user_id"]), str(rating["item_id"])
        for action in ("view", "purchase") if rating["rating"] >= LIKED else ("view",):
            yield Behaviour(
                event_id=f"{user}-{film}-{action}",
                user_id=user,
                item_id=film,
                action=action,
                time=_time(rating),
                category=self.items[film].category,
            )


def _read(folder: Path, owners: str, package: str, delimiter: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """The owner's file, which has no header; or the package's, whose header names each column with its type."""
    if (folder / owners).exists():
        return rows(folder, (owners,), OWNER, delimiter, columns, encoding="latin1")
    typed = rows(folder, (owners, package), OWNER, "\t")
    return [{name.split(":")[0]: value for name, value in line.items()} for line in typed]


def _described(film: Mapping[str, Any]) -> tuple[str, str]:
    """Title with year, and genres."""
    if "class" in film:
        return f"{film['movie_title']} ({film['release_year']})", film["class"]
    return film["title"], " ".join(genre for genre in GENRES if film[genre])


def _time(rating: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(rating["timestamp"], UTC)


def _list(rating: Mapping[str, Any]) -> CandidateList:
    film = Candidate(str(rating["item_id"]), price=float("nan"), display=0.0, mailer=0.0, log_odds=0.0, sold=0, age=0.0)
    return CandidateList(0, 0 if rating["rating"] >= LIKED else NOTHING, (film,))
