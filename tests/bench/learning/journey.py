"""The Complete Journey with each household's own frequencies as context, and its last basket as a question of its own."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from services.updater.history.the_journey import TheJourney
from shared.datasets.candidates import NOTHING, CandidateList, Draw, Pool, listed
from shared.datasets.complete_journey import LAST, Journey
from shared.datasets.moments import Moment
from shared.datasets.promotions import DISPLAY, MAILER
from shared.datasets.repeats import Repeats
from shared.messages import Item

COMMON = 17
"""Baskets that a product must be in to be a target (Li et al., 2023: "A Next Basket Recommendation Reality Check")."""
POPULAR = 500
"""Products sold most in the 28 days before that a household's own are completed with."""


class RepeatingJourney:
    """The sample's whole year.

    The last basket of a household makes one more list, of everything that the household bought before and the shop's most sold
    products; ``bought`` says nothing of it: it is asked, and never learned.
    """

    def __init__(self, journey: Journey) -> None:
        self._journey, self._plain = journey, TheJourney(journey, LAST)
        self.items: dict[str, Item] = self._plain.items
        held = np.unique(np.stack([journey.lines.basket, journey.lines.product], axis=1), axis=0)[:, 1]
        counts = np.bincount(held, minlength=len(journey.products)).tolist()
        self.asked: list[Moment] = []
        self.before: dict[str, frozenset[str]] = {}
        self.common = frozenset(product.item_id for product, n in zip(journey.products, counts, strict=True) if n >= COMMON)

    def moments(self) -> Iterator[Moment]:
        """Each basket in time order."""
        lines = self._journey.lines
        last = dict(zip(map(str, lines.household.tolist()), lines.time.tolist(), strict=True))
        repeats, pool = Repeats(), Pool(len(self._journey.products))
        for moment in self._plain.moments():
            lists = moment.lists
            if moment.time == last[moment.user_id]:
                lists = (*lists, self._question(moment, repeats, pool))
                self.asked.append(moment)
                self.before[moment.user_id] = frozenset(repeats.products(moment.user_id))
            yield replace(moment, lists=tuple(_known(ranked, moment, repeats) for ranked in lists))
            repeats.add(moment.user_id, frozenset(event.item_id for event in moment.events), moment.time)

    def _question(self, moment: Moment, repeats: Repeats, pool: Pool) -> CandidateList:
        lines, names = self._journey.lines, [product.item_id for product in self._journey.products]
        pool.advance(moment.time, lines.time, lines.product, lines.price)
        numbers = {name: number for number, name in enumerate(names)}
        own = [numbers[name] for name in repeats.products(moment.user_id)]
        popular = [n for n in np.argsort(-pool.sold, kind="stable")[:POPULAR].tolist() if pool.sold[n]]
        chosen = np.array([n for n in dict.fromkeys([*own, *popular]) if names[n] in self.common], np.int64)
        row = int(np.searchsorted(lines.time, moment.time))
        shown = [names[number] for number in chosen]
        flags = self._journey.promotions.at(np.array(shown, np.int64), int(lines.store[row]), int(lines.week[row]))
        with np.errstate(divide="ignore"):  # of what was not sold lately; every product is asked, so that no log-odds are needed
            asked = listed(
                pool, 0, Draw(chosen, NOTHING), moment.time, shown, (flags & DISPLAY > 0).tolist(), (flags & MAILER > 0).tolist()
            )
        whole = tuple(replace(candidate, log_odds=0.0) for candidate in asked.candidates)
        return CandidateList(0, NOTHING, whole)


def _known(ranked: CandidateList, moment: Moment, repeats: Repeats) -> CandidateList:
    return replace(ranked, candidates=tuple(repeats.of(moment.user_id, candidate, moment.time) for candidate in ranked.candidates))
