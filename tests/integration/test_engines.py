"""The engines that every other test stands on: they answer, and what they acknowledged outlives a kill."""

import asyncio
from pathlib import Path

import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from infra.local import engines as local
from infra.local import probes
from infra.local.ports import free_block, owner
from shared.errors import BadSettings
from shared.settings import Settings
from tests.conftest import Engines

pytestmark = pytest.mark.engines


async def _send(settings: Settings, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", enable_idempotence=True) as producer:
        for value in values:
            await producer.send_and_wait("behaviour", value, partition=0)


async def _read(settings: Settings, n: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, auto_offset_reset="earliest")
    consumer.assign([TopicPartition("behaviour", 0)])
    await consumer.start()
    try:
        return [(await consumer.getone()).value for _ in range(n)]
    finally:
        await consumer.stop()


def test_kafka_keeps_acknowledged_records_over_a_kill(engines: Engines, fresh_settings: Settings) -> None:
    sent = [b"a", b"b", b"c"]
    asyncio.run(_send(fresh_settings, sent))
    before = engines.kafka.pid
    engines.kafka.kill()
    assert engines.kafka.pid == 0
    engines.kafka.start()
    assert engines.kafka.pid not in (0, before)
    assert asyncio.run(asyncio.wait_for(_read(fresh_settings, 3), 30)) == sent


@pytest.mark.parametrize("attempt", [1, 2])
def test_each_test_finds_empty_engines(fresh_settings: Settings, attempt: int) -> None:
    asyncio.run(_send(fresh_settings, [b"%d" % attempt]))
    assert asyncio.run(asyncio.wait_for(_read(fresh_settings, 1), 30)) == [b"%d" % attempt]  # the other attempt's record is gone
    with redis.Redis.from_url(fresh_settings.redis) as valkey:
        assert valkey.dbsize() == 0
        valkey.set("left", attempt)


def test_valkey_keeps_what_it_synced_over_a_kill(engines: Engines, fresh_settings: Settings) -> None:
    with redis.Redis.from_url(fresh_settings.redis) as valkey:
        valkey.set("kept", b"1")
        valkey.waitaof(1, 0, 2000)
        engines.valkey.kill()
        engines.valkey.start()
        assert valkey.get("kept") == b"1"


def test_seaweed_keeps_objects_over_a_kill_and_lets_one_writer_win(engines: Engines, fresh_settings: Settings) -> None:
    s3 = probes.s3_client(fresh_settings.s3, local.CREDENTIALS)
    first = s3.put_object(Bucket=fresh_settings.bucket, Key="pointer", Body=b"1", IfNoneMatch="*")
    engines.seaweed.kill()
    engines.seaweed.start()
    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=fresh_settings.bucket, Key="pointer", Body=b"2", IfNoneMatch="*")
    s3.put_object(Bucket=fresh_settings.bucket, Key="pointer", Body=b"3", IfMatch=first["ETag"])
    assert s3.get_object(Bucket=fresh_settings.bucket, Key="pointer")["Body"].read() == b"3"
    s3.close()


def test_when_seaweed_answers_again_what_it_holds_can_be_read(engines: Engines, fresh_settings: Settings) -> None:
    client = probes.s3_client(fresh_settings.s3, local.CREDENTIALS)
    client.put_object(Bucket=fresh_settings.bucket, Key="held", Body=b"on a volume" * 20)
    for _ in range(5):
        engines.seaweed.kill()
        engines.seaweed.start()
        assert client.get_object(Bucket=fresh_settings.bucket, Key="held")["Body"].read() == b"on a volume" * 20
    client.close()


def test_a_taken_port_is_named_with_its_owner(engines: Engines, tmp_path: Path) -> None:
    port = engines.valkey.ports[0]
    with pytest.raises(BadSettings, match=rf"port {port}, which valkey needs, is taken by .*{engines.valkey.pid}"):
        local.valkey(tmp_path, port).start()
    assert str(engines.valkey.pid) in owner(port)


def test_another_valkey_on_the_port_does_not_count_as_ours(engines: Engines) -> None:
    port = engines.valkey.ports[0]
    assert probes.valkey(port, engines.valkey.pid)
    assert not probes.valkey(port, 1)
    assert not probes.valkey(free_block(1), 0)
