"""``python -m tests.bench.plain PORT FOLDER REDIS USERS ITEMS U C``: Feast + BentoML + eager torch, as their tutorials have it."""

import os
import sys
from pathlib import Path

os.environ["BENTOML_DO_NOT_TRACK"] = "True"

import bentoml
import torch
import uvicorn
from pydantic import BaseModel
from torch import nn

from services.updater.learning.model import Ranker
from tests.bench.plain.features import store

PORT, FOLDER, REDIS = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
USERS, ITEMS, U, C = map(int, sys.argv[4:])
DIM, TEXT = 16, 384


class Candidate(BaseModel):
    item_id: str


class Ranked(BaseModel):
    item_id: str
    score: float


class Answer(BaseModel):
    items: list[Ranked]


@bentoml.service(name="plain", workers=1)
class Plain:
    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.store = store(FOLDER, REDIS, USERS, ITEMS, (U, C))
        self.names = [f"user_view:user_{n}" for n in range(U)] + [f"item_view:item_{n}" for n in range(C)]
        self.model = Ranker(U + C, 1, DIM, (128, 64), TEXT, 0.0, pooling=False, bins=0).eval()
        sizes = (USERS, ITEMS, 300, 1_000, 24, 7)
        self.tables = [nn.Embedding(size, DIM + 1) for size in sizes]
        self.texts = torch.nn.functional.normalize(torch.randn(ITEMS, TEXT))
        self.items = {f"i{n}": n for n in range(ITEMS)}
        self.users = {f"u{n}": n for n in range(USERS)}

    @bentoml.api  # type: ignore[untyped-decorator]
    async def rank(self, user_id: str, candidates: list[Candidate]) -> Answer:
        ids = [candidate.item_id for candidate in candidates]
        rows = [{"user_id": user_id, "item_id": item} for item in ids]
        found = self.store.get_online_features(features=self.names, entity_rows=rows).to_dict()
        dense = torch.tensor([found[name.split(":")[1]] for name in self.names]).T
        item = torch.tensor([self.items[one] for one in ids])
        user = torch.full((len(ids),), self.users[user_id])
        fields = (user, item, item % 300, item % 1_000, user % 24, user % 7)
        with torch.no_grad():
            vectors = torch.stack([table(one) for table, one in zip(self.tables, fields, strict=True)], 1)
            text = self.texts[item]
            profile, pooled, log_odds = text.mean(0).expand_as(text), torch.zeros(len(ids), DIM), torch.zeros(len(ids))
            scores = torch.sigmoid(self.model(vectors, text, profile, pooled, dense, log_odds))[:, 0]
        best = torch.argsort(-scores).tolist()
        return Answer(items=[Ranked(item_id=ids[n], score=float(scores[n])) for n in best])


if __name__ == "__main__":
    uvicorn.run(
        Plain.to_asgi(),  # type: ignore[attr-defined]
        host="127.0.0.1",
        port=PORT,
        log_config=None,
    )
