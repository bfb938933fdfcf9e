"""The topics on the broker: create what is missing, refuse what differs from the table."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from shared.errors import BadSettings, KafkaUnavailable, TopicDiffers
from shared.kafka.clients import admin, started
from shared.settings import Settings
from shared.topics import Topic, table


async def ensure_topics(settings: Settings) -> list[str]:
    """Create the table's topics that are missing, check the others; returns the names of the new ones.

    Raises:
        TopicDiffers: one that exists is not as the table says. It is left alone: changing it is the operator's business.
        BadSettings: the broker refuses one, such as for more replicas than it has brokers.
        KafkaUnavailable: no broker answered.
    """
    wanted = table(settings.partitions)
    async with _asking(settings) as client:
        missing = sorted(wanted.keys() - set(await client.list_topics()))
        if missing:
            _raise_refused(await client.create_topics([_new(wanted[name], settings.replicas) for name in missing]))
    await check_topics(settings, wanted.keys() - set(missing))
    return missing


async def check_topics(settings: Settings, names: Iterable[str]) -> None:
    """Make sure that these topics are on the broker exactly as the table says; every service does before it starts.

    Raises:
        TopicDiffers: names the topic, the setting, what is expected and what was found.
        KafkaUnavailable: no broker answered.
    """
    wanted = {name: topic for name, topic in table(settings.partitions).items() if name in set(names)}
    if not wanted:
        return
    async with _asking(settings) as client:
        described = {found["topic"]: found for found in await client.describe_topics(sorted(wanted))}
        for name, topic in wanted.items():
            _raise_differing(name, _shape(topic, settings.replicas), _found_shape(name, described.get(name)))
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]
        found = _found_configs(await client.describe_configs(resources))
    for name, topic in wanted.items():
        _raise_differing(name, _configs(topic, settings.replicas), found.get(name, {}))


@asynccontextmanager
async def _asking(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    client = await started(admin(settings))
    try:
        yield client
    except KafkaError as error:
        raise KafkaUnavailable(f"Kafka did not answer a question about its topics ({error!r})") from error
    finally:
        await client.close()


def _configs(topic: Topic, replicas: int) -> dict[str, str]:
    """With ``acks=all`` an acknowledged record is then on at least two brokers wherever there are three."""
    return topic.configs() | {"min.insync.replicas": str(max(1, replicas - 1))}


def _shape(topic: Topic, replicas: int) -> dict[str, str]:
    return {"partitions": str(topic.partitions), "replicas": str(replicas)}


def _new(topic: Topic, replicas: int) -> NewTopic:
    return NewTopic(topic.name, topic.partitions, replicas, topic_configs=_configs(topic, replicas))


def _raise_refused(response: Any) -> None:
    for name, code, message, *_ in response.topic_errors:
        error = for_code(code)
        if error not in (NoError, TopicAlreadyExistsError):
            raise BadSettings(f"Kafka refused to create topic {name}: {message or error.description}")


def _found_shape(name: str, found: Mapping[str, Any] | None) -> dict[str, str]:
    if found is None or for_code(found["error_code"]) is UnknownTopicOrPartitionError:
        raise TopicDiffers(f"Topic {name} is missing; create the topics with `freshet topics`.")
    partitions = found["partitions"]
    counts = {len(partition["replicas"]) for partition in partitions}
    return {"partitions": str(len(partitions)), "replicas": "/".join(map(str, sorted(counts)))}


def _found_configs(responses: Iterable[Any]) -> dict[str, dict[str, str]]:
    return {name: dict(_entries(entries)) for response in responses for _, _, _, name, entries in response.resources}


def _entries(entries: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, str]]:
    return ((entry[0], entry[1]) for entry in entries)


def _raise_differing(name: str, expected: Mapping[str, str], found: Mapping[str, str]) -> None:
    for setting, value in expected.items():
        if found.get(setting) != value:
            raise TopicDiffers(
                f"Topic {name}: {setting} is {found.get(setting, 'not set')}, expected {value}; alter the topic, or make it anew."
            )
