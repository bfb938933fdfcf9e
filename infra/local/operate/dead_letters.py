"""Records that nobody could use: counted, listed, and sent again once their cause is mended."""

from collections import Counter
from collections.abc import Iterable

from infra.local.records import records
from shared.dead_letters import decode, distinct, replay
from shared.kafka import deliver, producer, started
from shared.messages import DeadLetter
from shared.settings import Settings


async def letters(settings: Settings, reason: str = "", service: str = "") -> list[DeadLetter]:
    """Each origin's letter, oldest first; of one reason or one service where they are given."""
    found = [decode(record.value) async for record in records(settings, DeadLetter.topic)]
    kept = [one for one in distinct(found) if reason in ("", one.reason) and service in ("", one.service)]
    return sorted(kept, key=lambda one: (one.time, one.origin))


def counts(found: Iterable[DeadLetter]) -> dict[tuple[str, str, str], int]:
    """How many by service, reason and topic of origin; the most frequent first."""
    return dict(Counter((one.service, one.reason, one.origin.topic) for one in found).most_common())


async def send_again(settings: Settings, found: Iterable[DeadLetter]) -> int:
    """Send the letters' records to their topics again, each once and acknowledged; how many.

    They keep their event ids, so that one which did count is recognised as a retry as long as its user's recent ids are known.
    """
    client, sent = await started(producer(settings)), 0
    try:
        for one in {one.origin: one for one in found}.values():
            again = replay(one)
            await deliver(client, again.topic, again.value, key=again.key, partition=again.partition)
            sent += 1
    finally:
        await client.stop()
    return sent
