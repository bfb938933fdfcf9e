"""The edge to Kafka on a real broker: topics made as the table says, differences refused, dead letters kept and replayed."""

import asyncio

import pytest

from shared.dead_letters import DeadLetters, decode, replay
from shared.errors import BadSettings, KafkaUnavailable, TopicDiffers
from shared.kafka import check_topics, consumer, deliver, ensure_topics, partition_for, producer, started
from shared.messages import DeadLetter, Origin
from shared.settings import Settings
from shared.topics import table
from tests.conftest import alter_topic, delete_topics

pytestmark = pytest.mark.engines


async def test_missing_topics_are_made_as_the_table_says_and_pass_the_check(fresh_settings: Settings) -> None:
    await delete_topics(fresh_settings, "items", "bundles")
    assert await ensure_topics(fresh_settings) == ["bundles", "items"]
    assert await ensure_topics(fresh_settings) == []
    await check_topics(fresh_settings, table())


async def test_a_missing_topic_is_refused_by_name(fresh_settings: Settings) -> None:
    await delete_topics(fresh_settings, "impressions")
    with pytest.raises(TopicDiffers, match="Topic impressions is missing; create the topics with `freshet topics`"):
        await check_topics(fresh_settings, ["impressions"])


async def test_another_number_of_partitions_is_refused(fresh_settings: Settings) -> None:
    other = fresh_settings.model_copy(update={"partitions": 7})
    with pytest.raises(TopicDiffers, match="Topic behaviour: partitions is 4, expected 7"):
        await check_topics(other, ["behaviour"])


async def test_another_replication_factor_is_refused(fresh_settings: Settings) -> None:
    other = fresh_settings.model_copy(update={"replicas": 3})
    with pytest.raises(TopicDiffers, match="Topic behaviour: replicas is 1, expected 3"):
        await check_topics(other, ["behaviour"])


async def test_a_broker_time_that_the_joiner_could_not_trust_is_refused(fresh_settings: Settings) -> None:
    await alter_topic(fresh_settings, "behaviour", "message.timestamp.type", "CreateTime")
    with pytest.raises(TopicDiffers, match=r"Topic behaviour: message.timestamp.type is CreateTime, expected LogAppendTime"):
        await check_topics(fresh_settings, ["behaviour"])
    with pytest.raises(TopicDiffers, match="behaviour"):
        await ensure_topics(fresh_settings)


async def test_a_record_lands_where_its_key_belongs(fresh_settings: Settings) -> None:
    async with producer(fresh_settings) as sender:
        for user in ("ana", "bo", "zoë", "user-17"):
            placed = await deliver(sender, "behaviour", b"{}", key=user.encode())
            assert placed.partition == partition_for(user, fresh_settings.partitions)


async def test_a_dead_letter_is_kept_and_replayed_byte_for_byte(fresh_settings: Settings) -> None:
    read = consumer(fresh_settings, "behaviour", DeadLetter.topic)
    async with producer(fresh_settings) as sender, read, asyncio.timeout(30):
        first = await deliver(sender, "behaviour", b"\xff\x00 broken", key=b"ana")
        await DeadLetters(sender, "joiner").send("undecodable", "byte 0", await read.getone())
        letter = decode((await read.getone()).value)
        assert letter.origin == Origin("behaviour", first.partition, first.offset)
        again = replay(letter)
        await deliver(sender, again.topic, again.value, key=again.key, partition=again.partition)
        record = await read.getone()
        assert (record.topic, record.key, record.value, record.partition) == (
            "behaviour",
            b"ana",
            b"\xff\x00 broken",
            first.partition,
        )


async def test_no_broker_is_one_clear_sentence() -> None:
    nowhere = Settings(kafka="127.0.0.1:1")
    with pytest.raises(KafkaUnavailable, match="check FRESHET_KAFKA"):
        await check_topics(nowhere, ["behaviour"])
    with pytest.raises(KafkaUnavailable, match="check FRESHET_KAFKA"):
        await started(producer(nowhere))
    with pytest.raises(KafkaUnavailable, match="check FRESHET_KAFKA"):
        await started(consumer(nowhere, "behaviour"))


async def test_a_topic_that_the_broker_lacks_is_reported_in_bounded_time(fresh_settings: Settings) -> None:
    async with producer(fresh_settings) as sender:
        with pytest.raises(KafkaUnavailable, match=r"did not acknowledge a record for nowhere in 0.3 s"):
            await deliver(sender, "nowhere", b"x", seconds=0.3)


async def test_more_replicas_than_brokers_are_refused_by_the_brokers_own_words(fresh_settings: Settings) -> None:
    await delete_topics(fresh_settings, "bundles")
    with pytest.raises(BadSettings, match=r"Kafka refused to create topic bundles: .*replication factor"):
        await ensure_topics(fresh_settings.model_copy(update={"replicas": 3}))
