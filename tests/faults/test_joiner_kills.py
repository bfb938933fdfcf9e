"""Whatever is killed or frozen, and when, the joiner says what an oracle says of the logs, and what a fresh run says."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.conftest import Engines, empty_topics, variables
from tests.faults import MARKS, ROUNDS
from tests.joiner import EXAMPLES, TIMES, Report, Traffic, Worker, agreed, ends

pytestmark = MARKS

SESSION_S = 6.0
"""Kafka's own least: after so long without a sign, a frozen worker's partitions go to the others."""


class Crew:
    """Workers of one group, and somebody who starts again what ended, as a process manager does; ``killed`` counts the SIGKILLs.

    A worker may end by itself too, rather than go on after a failure.
    """

    def __init__(self, settings: Settings, folder: Path, names: tuple[str, ...], module: str = "services.joiner") -> None:
        environment = variables(settings) | TIMES
        self.workers = [Worker(name, environment, folder, module) for name in names]
        self.settings, self.killed = settings, 0

    async def start(self) -> None:
        for worker in self.workers:
            worker.start()
        for worker in self.workers:
            await asyncio.to_thread(worker.wait)

    async def tend(self) -> None:
        """Start again what ended, for ever."""
        while True:
            for worker in self.workers:
                if worker.status is not None:
                    self.killed += worker.status == -signal.SIGKILL
                    await asyncio.sleep(0.3)
                    worker.start()
            await asyncio.sleep(0.1)


@pytest.fixture
def wide(fresh_settings: Settings) -> Settings:
    """Sixteen partitions, as shipped."""
    settings = fresh_settings.model_copy(update={"partitions": 16})
    asyncio.run(empty_topics(settings))
    return settings


@asynccontextmanager
async def under_load(crew: Crew, traffic: Traffic) -> AsyncIterator[None]:
    """Traffic and a process manager around what goes wrong and what is waited for after it."""
    await crew.start()
    load, tending = asyncio.create_task(traffic.run()), asyncio.create_task(crew.tend())
    try:
        yield
        await load
    finally:
        load.cancel()
        tending.cancel()
        for worker in crew.workers:
            worker.kill()


async def trial(crew: Crew, trouble: Callable[[], Awaitable[None]], traffic: Traffic, seconds: float = 60.0) -> Report:
    """What was said of all that was sent, once it is worked off or the time for that is over."""
    async with under_load(crew, traffic):
        await trouble()
        await traffic.finish()
        return await agreed(crew.settings, TIMES, seconds=seconds)


async def kill_at_random(crew: Crew, traffic: Traffic, rounds: int) -> None:
    dice = random.Random(3)
    for _ in range(rounds):
        await asyncio.sleep(dice.uniform(0.5, 2.5))
        worker = dice.choice([one for one in crew.workers if one.status is None])
        await asyncio.to_thread(worker.wait)
        await traffic.loud()  # what was sent in the last instants cannot have been emitted: it is in flight
        worker.kill()


async def freeze_in_turn(crew: Crew, traffic: Traffic, rounds: int) -> None:
    for n in range(rounds):
        worker = crew.workers[n % 2]
        await asyncio.to_thread(worker.wait)
        await traffic.loud()
        worker.signal(signal.SIGSTOP)
        await asyncio.sleep(SESSION_S + 2.5)
        worker.signal(signal.SIGCONT)
        await asyncio.sleep(2)


async def until_killed(crew: Crew, count: int) -> None:
    async with asyncio.timeout(120):
        while crew.killed < count:  # noqa: ASYNC110 (nobody sets an event for what a process does)
            await asyncio.sleep(0.02)


async def test_killed_at_random_it_says_what_the_oracle_and_a_fresh_run_say(wide: Settings, tmp_path: Path) -> None:
    crew, traffic = Crew(wide, tmp_path, ("a", "b")), Traffic(wide)
    said = await trial(crew, lambda: kill_at_random(crew, traffic, ROUNDS), traffic)
    assert crew.killed == ROUNDS
    assert said.agree(), str(said)
    before = await ends(wide, EXAMPLES)
    fresh = Worker("fresh", variables(wide) | TIMES, tmp_path)
    try:
        fresh.start(FRESHET_JOINER_GROUP="fresh")
        await asyncio.to_thread(fresh.wait)
        again = await agreed(wide, TIMES, before)
    finally:
        fresh.kill()
    assert again.agree(), str(again)
    assert again.emitted == sum(again.examples.values())


@pytest.mark.parametrize("point", ["joiner.emit", "joiner.before_commit"])
async def test_killed_at_a_named_point_it_says_what_the_oracle_says(wide: Settings, tmp_path: Path, point: str) -> None:
    crew, traffic, dice = Crew(wide, tmp_path, ("a",)), Traffic(wide), random.Random(5)
    worker = crew.workers[0]
    start, starts = worker.start, count()

    def start_doomed() -> None:
        doomed = next(starts) > 0 and crew.killed < ROUNDS
        start(**({"FRESHET_FAILPOINT": f"{point}:{dice.randrange(1, 60)}"} if doomed else {}))

    async def trouble() -> None:
        await asyncio.to_thread(worker.terminate, 120)  # so that every SIGKILL is the failpoint's
        for n in range(ROUNDS):
            await until_killed(crew, n + 1)

    worker.start = start_doomed
    said = await trial(crew, trouble, traffic)
    assert crew.killed == ROUNDS
    assert said.agree(), str(said)


async def test_frozen_beyond_the_session_and_resumed_it_says_what_the_oracle_says(wide: Settings, tmp_path: Path) -> None:
    crew, traffic = Crew(wide, tmp_path, ("a", "b")), Traffic(wide)
    said = await trial(crew, lambda: freeze_in_turn(crew, traffic, max(2, ROUNDS // 2)), traffic)
    assert said.agree(), str(said)


async def kill_kafka(crew: Crew, engines: Engines, traffic: Traffic, away: list[float]) -> None:
    """Kill Kafka with records in flight, and a worker with it, each time for so many seconds."""
    for seconds in away:
        await asyncio.sleep(3)
        await asyncio.to_thread(crew.workers[0].wait)
        await traffic.loud()
        engines.kafka.kill()
        crew.workers[0].kill()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(engines.kafka.start)


async def test_kafka_killed_and_started_again_it_says_what_the_oracle_says(
    wide: Settings, engines: Engines, tmp_path: Path
) -> None:
    crew, traffic = Crew(wide, tmp_path, ("a", "b")), Traffic(wide)
    away = [SESSION_S + 2.5, *[1.0] * max(1, ROUNDS // 2)]
    said = await trial(crew, lambda: kill_kafka(crew, engines, traffic, away), traffic)
    assert said.agree(), str(said)


@pytest.mark.parametrize("fault", ["kill", "freeze", "kafka"])
async def test_without_its_safeguard_it_loses_examples(wide: Settings, engines: Engines, tmp_path: Path, fault: str) -> None:
    crew, traffic = Crew(wide, tmp_path, ("a", "b"), module="tests.faults.hasty_joiner"), Traffic(wide)
    troubles = {
        "kill": lambda: kill_at_random(crew, traffic, 2),
        "freeze": lambda: freeze_in_turn(crew, traffic, 1),
        "kafka": lambda: kill_kafka(crew, engines, traffic, [1.0]),
    }
    said = await trial(crew, troubles[fault], traffic, seconds=10)
    assert said.oracle - said.examples, str(said)
