"""Import a shop's past: ``python -m services.updater.history [FOLDER]`` makes the counters, the base bundle and its checkpoint.

Without a folder the shop is the demo's, The Complete Journey, up to the moment where the shopper begins to play it; the shopper
sends its catalogue then. Of a folder, the items go to the topic ``items`` too.
"""

import asyncio
import time
from pathlib import Path

from redis.exceptions import RedisError
from structlog.stdlib import BoundLogger

from services.updater.history.base import publish_base, require_none
from services.updater.history.listing import list_items
from services.updater.history.past import Past
from services.updater.history.pretraining import Pretraining
from services.updater.history.shop_files import ShopFiles
from services.updater.history.the_journey import TheJourney
from services.updater.learning.batches import Batcher
from services.updater.learning.catalogue import Assortment, build
from services.updater.learning.device import choose
from services.updater.learning.learner import Learner
from services.updater.settings import HistorySettings
from services.updater.texts.vectors import TextCache
from shared import valkey
from shared.bundles.signing import signing_key
from shared.bundles.storage import Storage
from shared.datasets.moments import Shop
from shared.features.assemble import Assembler
from shared.features.counters import Counters
from shared.features.plans import Plans
from shared.features.writer import RowWriter
from shared.kafka import check_topics
from shared.messages import Item
from shared.tasks import task


def main(settings: HistorySettings, folder: Path | None, logger: BoundLogger) -> None:
    """Read, fold, learn, publish; each step's seconds are logged. The bundle's pointer comes last.

    Raises:
        BadSettings: the task has a bundle already, a key, a topic or the declared features are missing, or the past cannot be read.
        Unavailable: an engine did not answer.
    """
    began = time.monotonic()

    def done(step: str, **figures: float | str) -> None:
        logger.info(step, seconds=round(time.monotonic() - began, 1), **figures)

    declared, storage = task(settings.task), Storage.connect(settings)
    require_none(storage)
    key = signing_key(settings.signing_key)
    if folder:
        asyncio.run(check_topics(settings, [Item.topic]))
    plans = asyncio.run(_plans(settings))
    shop: Shop = ShopFiles(folder, declared.labels[0], declared.learning.seed) if folder else journey(settings)
    done("shop read", items=len(shop.items))
    texts = TextCache(settings.texts, storage.objects, settings.updater_encoder)
    vectors = texts.ensure(item.title for item in shop.items.values())
    catalogue = build(shop.items.values(), vectors, declared.model.text_dim, texts.encoder)
    done("texts encoded", texts=len(vectors), encoder=texts.encoder)
    assembler = Assembler(plans, declared.context)
    past = Past(Counters(plans), assembler, assembler.inputs, shop.items.values(), declared.name, declared.labels[0])
    examples = list(past.examples(shop.moments()))
    done("past folded", lists=len(examples))
    assortment = Assortment(declared.model.text_dim)
    assortment.add(catalogue)
    learner = Learner(declared, assembler.inputs, assortment, choose())
    metrics = Pretraining().run(learner, Batcher(learner.inputs, declared.labels, assortment), examples, logger)
    done("pretrained", rows=learner.optimiser.learned)
    done("counters written", rows=write_counters(settings, past.counters))
    if folder:
        done("items listed", items=asyncio.run(list_items(settings, shop.items.values())))
    manifest = publish_base(storage, learner, [catalogue], key, metrics)
    done("published", bundle=manifest.version)


def journey(settings: HistorySettings) -> TheJourney:
    """The demo's shop before the shopper plays it."""
    return TheJourney.load(
        settings.shopper_households, settings.shopper_seed, settings.shopper_start, settings.journey_cache
    )  # fmt: skip


async def _plans(settings: HistorySettings) -> Plans:
    client = valkey.connect_async(settings)
    try:
        return await Plans.load(client, settings.project)
    except (RedisError, OSError) as error:
        raise valkey.away(settings, error) from error
    finally:
        await client.aclose()


def write_counters(settings: HistorySettings, counters: Counters) -> int:
    """Every user's and item's row, for the live service to go on from; how many."""
    with valkey.connect(settings) as client:
        rows = list(counters.dump())
        return RowWriter(client).write([key for key, _ in rows], [row for _, row in rows], ttl=0)
