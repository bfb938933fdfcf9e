"""A shop's past as examples: each list with the features of its moment, by the fold and the assembly that the live services run."""

from collections.abc import Iterable, Iterator

import numpy as np

from shared.datasets.candidates import NOTHING, CandidateList
from shared.datasets.moments import Moment
from shared.features.assemble import Assembler, Features
from shared.features.counters import Counters
from shared.features.events import columns
from shared.keys import keys
from shared.messages import Example, Impression, Inputs, Item, Origin, Outcome

BUNDLE = "history"
"""What an example of the past names as its bundle: nobody scored it."""
TOGETHER = 64
"""Moments that are folded at once."""


class Past:
    """Folds a shop's past and makes its examples.

    Args:
        counters: where the events are folded; afterwards they hold all of the past.
        assembler: makes the features.
        inputs: the features wanted.
        items: the catalogue, for categories and brands of candidates.
        task: its name.
        label: the action that makes a positive.
    """

    def __init__(
        self, counters: Counters, assembler: Assembler, inputs: Inputs, items: Iterable[Item], task: str, label: str
    ) -> None:
        self.counters, self.assembler, self.inputs = counters, assembler, inputs
        self.task, self.label = task, label
        known = {item.item_id: item for item in items}
        self._row = {item_id: i for i, item_id in enumerate(known)}
        self._categories = keys(item.category or "" for item in known.values())
        self._brands = keys(item.brand or "" for item in known.values())
        self.lists = 0
        """Lists made so far; they are the origins' offsets."""

    def examples(self, moments: Iterable[Moment]) -> Iterator[Example]:
        """One example for each list, in order, with the features of its moment.

        Moments are taken :data:`TOGETHER`, fewer where a user comes again: a list knows all of its own user's past, and of the
        others' what a busy shop knows, all but the last moments.
        """
        group: dict[str, Moment] = {}
        for moment in moments:
            if moment.user_id in group or len(group) == TOGETHER:
                yield from self._take(list(group.values()))
                group.clear()
            group[moment.user_id] = moment
        yield from self._take(list(group.values()))

    def _take(self, group: list[Moment]) -> Iterator[Example]:
        if any(moment.lists for moment in group):
            yield from self._examples(group)
        events = [event for moment in group for event in moment.events]
        if events:
            self.counters.apply(columns(events))

    def _examples(self, group: list[Moment]) -> Iterator[Example]:
        lists = [(moment, ranked) for moment in group for ranked in moment.lists]
        features = self._features(lists)
        start = 0
        for moment, ranked in lists:
            span = slice(start, start := start + len(ranked.candidates))
            yield self._example(moment, ranked, features, span)

    def _features(self, lists: list[tuple[Moment, CandidateList]]) -> Features:
        """Of every candidate of these lists, each with its own user."""
        shown = [(moment, candidate) for moment, ranked in lists for candidate in ranked.candidates]
        ids = [candidate.item_id for _, candidate in shown]
        rows = [self._row[item_id] for item_id in ids]
        made = self.assembler.assemble(
            self.counters.read([moment.user_id for moment, _ in shown], ids),
            self.inputs,
            now=np.array([moment.time for moment, _ in shown], np.float64),
            prices=np.array([candidate.price for _, candidate in shown], np.float64),
            categories=self._categories[rows],
            brands=self._brands[rows],
            context={name: np.array([getattr(c, name, 0.0) for _, c in shown], np.float32) for name in self.assembler.context},
        )
        # one candidate alone looks like a request, whose user is one row
        return Features(np.atleast_2d(made.user), made.candidate, np.atleast_2d(made.history), np.atleast_2d(made.history_weights))

    def _example(self, moment: Moment, ranked: CandidateList, features: Features, span: slice) -> Example:
        offset, self.lists = self.lists, self.lists + 1
        dealt = features.history_weights[span.start] > 0
        impression = Impression(
            request_id=f"past-{offset}",
            task=self.task,
            user_id=moment.user_id,
            time=moment.time,
            bundle=BUNDLE,
            inputs=self.inputs,
            items=tuple(candidate.item_id for candidate in ranked.candidates),
            scores=np.zeros(len(ranked.candidates), np.float32).tobytes(),
            log_odds=np.array([candidate.log_odds for candidate in ranked.candidates], np.float32).tobytes(),
            user_features=features.user[span.start].tobytes(),
            candidate_features=features.candidate[span].tobytes(),
            history=features.history[span.start][dealt].tobytes(),
            history_weights=features.history_weights[span.start][dealt].tobytes(),
        )
        outcome = Outcome(index=ranked.bought, action=self.label, partition=0, offset=offset, time=moment.time, delay=0.0)
        outcomes = () if ranked.bought == NOTHING else (outcome,)
        return Example(kind="list", origin=Origin(BUNDLE, 0, offset), impression=impression, outcomes=outcomes)
