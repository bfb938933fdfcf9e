"""The verbs: rank, recommend, explain. They know neither HTTP nor Kafka nor BentoML."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from datetime import datetime
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from services.ranking import metrics
from services.ranking.answers import Scored, answer_of, impression_of, reasons_of, values_of
from services.ranking.explore import Drawn, Exploration, drawn
from services.ranking.impressions import ImpressionLog
from services.ranking.live import LiveModel
from services.ranking.requests import Answer, Candidate, RankRequest, RecommendRequest
from services.ranking.retrieve import nearest
from services.ranking.store import FeatureStore, Seen
from shared.errors import BadInput, KafkaUnavailable
from shared.features.assemble import Features
from shared.keys import key
from shared.model.row_map import Rows
from shared.model.scorer import Scorer
from shared.tasks import Task

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
U8 = NDArray[np.uint64]


class Ranker:
    """Answers for one task.

    Args:
        task: what is predicted.
        live: the model in service.
        store: the feature store.
        impressions: where what was shown goes.
        replay: whether the caller may say the time (``FRESHET_CLOCK=event``).
        retrieved: items that the full model ranks for a recommendation.
        wait_seconds: how long an answer waits for Kafka to have its impression; ``None`` for not at all.
        exploration: how orders are drawn; ``None`` shows the best.
    """

    def __init__(
        self,
        task: Task,
        live: LiveModel,
        store: FeatureStore,
        impressions: ImpressionLog,
        *,
        replay: bool = False,
        retrieved: int = 200,
        wait_seconds: float | None = None,
        exploration: Exploration | None = None,
    ) -> None:
        self.task, self.live, self._store, self._impressions = task, live, store, impressions
        self._replay, self._retrieved, self._wait_seconds = replay, retrieved, wait_seconds
        self._exploration = exploration

    async def warm(self) -> None:
        """Go the whole way once with items that nobody asked for, so that the first question does not pay for what is lazy."""
        ids = list(islice(self.live.current.texts.ids.values(), 100))
        seen = await self._store.read("", ids, catalogue=True)
        self._scored(seen, "", [Candidate(item) for item in ids], time.time())

    async def rank(self, request: RankRequest) -> Answer:
        """The candidates in the order of their scores, or near it where orders are explored.

        Raises:
            BadInput: ``at`` was sent to a service that goes by the clock.
            KafkaUnavailable: the impression was to be waited for and was not acknowledged.
        """
        scored = await self._score(request)
        order = np.argsort(-scored.scores, kind="stable")
        reasons = reasons_of(scored) if request.reasons else None
        return await self._shown(scored, drawn(self._exploration, order, scored.scores[order], request.limit), reasons)

    async def explain(self, request: RankRequest) -> Answer:
        """As :meth:`rank`, with what each group of inputs added and the values themselves; nothing counts as shown.

        Raises:
            BadInput: as in :meth:`rank`.
        """
        scored = await self._score(request)
        order = np.argsort(-scored.scores, kind="stable")[: request.limit]
        return answer_of(secrets.token_hex(16), scored, order, reasons_of(scored), values_of(scored))

    async def recommend(self, request: RecommendRequest) -> Answer:
        """The best of all items: nearest by the model's factors, ranked by the full model, in stock first, then score × boost.

        Orders are explored among what is in stock.

        Raises:
            BadInput, KafkaUnavailable: as in :meth:`rank`.
        """
        now = self._moment(request.at)
        user = await self._store.read(request.user_id, [])
        ids = await self._near(user, request.user_id, now)
        seen = await self._store.read(request.user_id, ids, catalogue=True)
        scored = self._scored(seen, request.user_id, [Candidate(item) for item in ids], now)
        stock, boost = seen.listed("stock"), seen.listed("boost")
        sold_out = stock <= 0  # NaN, where the shop does not say, counts as in stock
        worth = scored.scores * boost
        order = np.lexsort((-worth, sold_out))
        in_stock = order[: len(order) - np.count_nonzero(sold_out)]
        return await self._shown(scored, drawn(self._exploration, order, worth[in_stock], request.limit))

    async def _near(self, seen: Seen, user_id: str, now: float) -> list[str]:
        scorer = self.live.current
        none: U8 = np.zeros(0, np.uint64)
        features = _assemble(seen, scorer, now, np.zeros(0), (none, none), {})
        profile = scorer.profile(features)
        side = scorer.user_side(features, key(user_id), now, profile)
        # In a thread, for it looks at every item. A swap meanwhile may change which items are near, never how they are scored.
        return await asyncio.to_thread(nearest, scorer, side[0], profile.text, self._retrieved)

    async def _score(self, request: RankRequest) -> Scored:
        now = self._moment(request.at)
        priced = all(candidate.price is not None for candidate in request.candidates)
        ids = [candidate.item_id for candidate in request.candidates]
        seen = await self._store.read(request.user_id, ids, catalogue=not priced)
        return self._scored(seen, request.user_id, request.candidates, now)

    def _scored(self, seen: Seen, user_id: str, candidates: Sequence[Candidate], now: float) -> Scored:
        """Without an ``await``: one bundle makes the whole answer."""
        scorer = self.live.current
        rows = scorer.tables["item"].find(seen.rows.item_keys)
        kinds = _kinds(scorer, rows, seen)
        context = _context(candidates, self.task.context)
        features = _assemble(seen, scorer, now, _prices(candidates, seen), kinds, context)
        log_odds = np.array([candidate.log_odds for candidate in candidates], np.float32)
        odds = log_odds if log_odds.any() else None
        scores = scorer.score_rows(features, rows, key(user_id), now, odds)[:, 0]
        metrics.candidates.inc(len(candidates))
        metrics.unknown_items.inc(int(len(rows) - np.count_nonzero(rows)))
        ids = [candidate.item_id for candidate in candidates]
        return Scored(scorer, ids, rows, user_id, now, features, odds, scores, seen.rows.degraded)

    async def _shown(self, scored: Scored, shown: Drawn, reasons: dict[str, F4] | None = None) -> Answer:
        answer = answer_of(secrets.token_hex(16), scored, shown.order, reasons)
        if shown.changed:
            metrics.explored.inc()
        settled = self._impressions.put(impression_of(answer, self.task.name, scored, shown))
        if self._wait_seconds is not None:
            await _acknowledged(settled, self._wait_seconds)
        return answer

    def _moment(self, at: datetime | None) -> float:
        if at is None:
            return time.time()
        if not self._replay:
            raise BadInput("This service goes by the clock: `at` is for replays of the past (FRESHET_CLOCK=event).", field="at")
        return at.timestamp()


async def _acknowledged(settled: asyncio.Future[None] | None, seconds: float) -> None:
    if settled is None:
        raise KafkaUnavailable("Too many impressions wait for Kafka.")
    try:
        async with asyncio.timeout(seconds):
            await asyncio.shield(settled)
    except TimeoutError:
        raise KafkaUnavailable(f"Kafka did not acknowledge the impression within {seconds:g} s.") from None


def _assemble(seen: Seen, scorer: Scorer, now: float, prices: F8, kinds: tuple[U8, U8], context: dict[str, F4]) -> Features:
    categories, brands = kinds
    return seen.assembler.assemble(
        seen.rows, scorer.manifest.inputs, now=now, prices=prices, categories=categories, brands=brands, context=context
    )


def _prices(candidates: Sequence[Candidate], seen: Seen) -> F8:
    """The candidates' prices: as sent, else the catalogue's, else NaN. (n,)."""
    sent = np.array([np.nan if candidate.price is None else candidate.price for candidate in candidates], np.float64)
    return sent if seen.rows.catalogue is None else np.where(np.isnan(sent), seen.listed("price"), sent)


def _kinds(scorer: Scorer, rows: Rows, seen: Seen) -> tuple[U8, U8]:
    """The candidates' category and brand keys: as the bundle knows them, else the catalogue, else 0. Each (n,)."""
    attributes = scorer.sides.attributes[rows]
    found = scorer.tables["category"].keys[attributes[:, 0]], scorer.tables["brand"].keys[attributes[:, 1]]
    if seen.rows.catalogue is None:
        return found
    listed = seen.listed("category_key").view(np.uint64), seen.listed("brand_key").view(np.uint64)
    return np.where(rows == 0, listed[0], found[0]), np.where(rows == 0, listed[1], found[1])


def _context(candidates: Sequence[Candidate], names: tuple[str, ...]) -> dict[str, F4]:
    sent = [candidate.context for candidate in candidates]
    return {name: np.array([one.get(name, 0.0) for one in sent], np.float32) for name in names}
