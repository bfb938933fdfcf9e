"""Real engines for the tests that need them: one set for each session (each worker, under xdist), on free ports.

A test that asks for ``fresh_settings`` finds empty topics, an empty Valkey and a bucket of its own, and may kill the engines and
start them again: ``engines.kafka.kill(); engines.kafka.start()``.
"""

import asyncio
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from infra.local import engines as local
from infra.local import probes
from infra.local.ports import free_block
from shared.errors import TopicDiffers
from shared.kafka import admin, ensure_topics, started
from shared.settings import Settings
from shared.topics import table

PARTITIONS = 4
"""Of the keyed topics: enough that order across partitions is not given, few enough that Kafka makes them at once."""


@dataclass(frozen=True)
class Engines:
    """The running engines and where they are."""

    kafka: local.Engine
    valkey: local.Engine
    seaweed: local.Engine
    home: Path
    settings: Settings

    def __iter__(self) -> Iterator[local.Engine]:
        return iter((self.valkey, self.seaweed, self.kafka))


def pytest_configure() -> None:
    """Let ``kill PID`` stop a session in order, as Ctrl-C does, so that no engine is left behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Apache Kafka, Valkey and SeaweedFS on free ports, with their data in the session's temporary folder."""
    home, first = tmp_path_factory.mktemp("engines"), free_block(3 + local.S3_PORTS)
    settings = Settings(
        kafka=f"127.0.0.1:{first}",
        redis=f"redis://127.0.0.1:{first + 2}/0",
        s3=f"http://127.0.0.1:{first + 3}",
        partitions=PARTITIONS,
    )
    running = Engines(
        local.kafka(home / "kafka", first),
        local.valkey(home / "valkey", first + 2),
        local.seaweed(home / "s3", first + 3),
        home,
        settings,
    )
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {**local.CREDENTIALS, "AWS_REGION": settings.region, "AWS_EC2_METADATA_DISABLED": "true"}.items():
            environment.setenv(name, value)
        try:
            for engine in running:
                engine.start()
            yield running
        finally:
            for engine in reversed(list(running)):
                engine.stop()


@pytest.fixture
def fresh_settings(engines: Engines) -> Iterator[Settings]:
    """The engines' addresses, with empty topics, an empty Valkey and a new bucket; engines that a test left dead are started."""
    for engine in engines:
        if not engine.pid:
            engine.start()
    settings = engines.settings.model_copy(update={"bucket": f"test-{uuid.uuid4().hex[:12]}"})
    asyncio.run(empty_topics(settings))
    with redis.Redis.from_url(settings.redis) as valkey:
        valkey.flushall()
    s3 = probes.s3_client(settings.s3, local.CREDENTIALS)
    s3.create_bucket(Bucket=settings.bucket)
    yield settings
    if engines.seaweed.pid:
        s3.delete_bucket(Bucket=settings.bucket)  # with all in it, as SeaweedFS does unless told otherwise
    s3.close()


@pytest.fixture
def environment(fresh_settings: Settings) -> dict[str, str]:
    """The same addresses as ``FRESHET_*`` variables, for a service that a test starts as a process of its own."""
    return variables(fresh_settings)


def variables(settings: Settings) -> dict[str, str]:
    """Settings as the variables that a service reads."""
    values = settings.model_dump() | {"kafka_password": settings.kafka_password.get_secret_value()}
    return {f"FRESHET_{name.upper()}": str(value) for name, value in values.items() if value is not None}


async def empty_topics(settings: Settings) -> None:
    """Every topic of the table, new and empty: offsets that groups of earlier tests committed went with the old ones."""
    for _ in range(10):
        await delete_topics(settings, *table(settings.partitions))
        try:
            await ensure_topics(settings)
            return
        except TopicDiffers:  # what a test before made a moment ago came into sight only now
            await asyncio.sleep(0.2)
    await ensure_topics(settings)


async def delete_topics(settings: Settings, *names: str) -> None:
    """Delete topics, whether or not they are there; returns once the broker shows none of them.

    The broker answers before it shows what was made or deleted, so that each is asked for twice.
    """
    client = await started(admin(settings))
    try:
        for _ in range(2):
            await client.delete_topics(list(names))
            while set(names) & set(await client.list_topics()):  # noqa: ASYNC110 (nobody sets an event for what a broker shows)
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.05)
    finally:
        await client.close()


async def alter_topic(settings: Settings, name: str, config: str, value: str) -> None:
    """Change one config of a topic; returns once the broker shows it, which is a moment after the controller decided."""
    client = await started(admin(settings))
    whole = table(settings.partitions)[name].configs() | {config: value}
    try:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, whole)])
        async with asyncio.timeout(30):
            while (config, value) not in await _configs(client, name):  # noqa: ASYNC110 (nobody sets an event for what a broker shows)
                await asyncio.sleep(0.05)
    finally:
        await client.close()


async def _configs(client: AIOKafkaAdminClient, name: str) -> set[tuple[str, str]]:
    answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    return {(entry[0], entry[1]) for answer in answers for resource in answer.resources for entry in resource[4]}
