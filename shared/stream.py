"""The edge to Faust: an app whose agents get one batch of real records per poll and partition, and that commits as told.

Stock Faust decodes and acknowledges record by record. Here the public ``ConsumerScheduler`` setting hands on each poll as one
event, a pass-through schema leaves decoding to the service, and offsets are the service's own: it commits what its state contains.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

import faust
import uvloop
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.auth import Credentials, OAuthCredentials, SASLCredentials, SSLCredentials
from mode import CrashingSupervisor
from yarl import URL

from shared.errors import FreshetError
from shared.kafka.login import login
from shared.polls import QUIET, Consumer, OnePerPoll, Start, Starts, Transport, Undecoded
from shared.settings import Settings
from shared.telemetry import Monitor, last_record_age, log

__all__ = ["App", "Start", "Starts", "serve"]

BUFFERED_POLLS = 16
"""Batches that wait for an agent before its partition is paused: each is up to a megabyte of records."""
STOP_S = 15.0
"""How long a stop may take. With an engine gone it would not end; whoever reads on repeats what was not committed."""


class App(faust.App):
    """A Faust app that reads in batches.

    Attributes:
        start_offsets: chooses where the assigned partitions begin; the committed offsets unless the service replaces it.
        began: told where they began, before the first batch; the place to make the partitions' state anew.
        revoked: told, and awaited, before partitions go; the place to commit and to drop their state.

    Args:
        name: the consumer group.
        instance: this member's fixed name in the group. One that was killed and is back under its name within the session time-out
            keeps its partitions, and nobody else is disturbed. A clean stop leaves the group: others have its partitions at once.
        session: seconds of silence after which its partitions go to others.
    """

    logger = QUIET

    def __init__(self, name: str, settings: Settings, *, instance: str, session: float = 10.0) -> None:
        brokers = [URL(f"kafka://{server.strip()}") for server in settings.kafka.split(",")]
        super().__init__(
            name,
            broker=brokers,
            broker_credentials=credentials(settings),
            broker_session_timeout=session,
            broker_heartbeat_interval=session / 5,
            broker_request_timeout=max(30.0, session),
            broker_rebalance_timeout=max(30.0, session),
            consumer_group_instance_id=f"{name}-{instance}",
            topic_disable_leader=True,
            topic_allow_declare=False,
            stream_buffer_maxsize=BUFFERED_POLLS,
            stream_wait_empty=False,  # it waits for acknowledgements that nobody gives here
            agent_supervisor=CrashingSupervisor,  # a restarted agent would have lost its batch
            web_enabled=False,
            ConsumerScheduler=OnePerPoll,
        )
        self.transport = Transport(brokers, self)
        self.seeking, self.sought = asyncio.Lock(), False
        self.start_offsets: Callable[[Iterable[TopicPartition]], Awaitable[Starts]] = self.committed
        self.began: Callable[[Starts], None] = lambda starts: None
        self.revoked: Callable[[], Awaitable[None]] = _nothing
        self._last: dict[TopicPartition, tuple[int, float]] = {}
        self.on_partitions_revoked.connect(self._on_revoked, weak=False)
        self.on_before_shutdown.connect(self._on_shutdown, weak=False)
        self.timer(1.0)(self._age)

    def _create_directories(self) -> None:
        """Faust keeps nothing on disk here."""

    def source(self, topic: str) -> Any:
        """The topic to read, for ``@app.agent(app.source(name))``: undecoded, acknowledged by :meth:`commit_offsets` alone."""
        return self.topic(topic, schema=Undecoded(), acks=False)

    async def batches(self, stream: Any) -> AsyncIterator[list[ConsumerRecord]]:
        """The polls of a stream, each of one partition, in offset order; leaves out what was polled before a rebalance."""
        async for event in stream.events():
            if event.message.generation_id == self.consumer_generation_id:
                last = event.value[-1]
                self._last[TopicPartition(last.topic, last.partition)] = last.offset, last.timestamp / 1000
                yield event.value

    @property
    def reading(self) -> bool:
        """Whether the partitions that are this member's, if any, are being read: what ``/readyz`` asks."""
        joined = self.sought or (self.rebalancing_count > 0 and self.unassigned)
        return bool(joined and not self.rebalancing and not self.should_stop)

    def assigned(self) -> set[TopicPartition]:
        """The partitions that are this member's."""
        return {TopicPartition(*tp) for tp in self.consumer.assignment()}

    async def commit_offsets(self, offsets: Mapping[tuple[str, int], tuple[int, str]]) -> bool:
        """Commit {(topic, partition): (next offset, metadata)}; of the partitions that are still this member's.

        Returns:
            Whether Kafka took it. A stale generation is refused: whoever has the partitions now reads from the older commit.
        """
        mine = self.assigned()
        kept = {TopicPartition(*tp): OffsetAndMetadata(*offset) for tp, offset in offsets.items() if tp in mine}
        try:
            if kept:
                await self._call("commit", kept)
        except (CommitFailedError, IllegalStateError, KafkaError) as error:
            self.log.warning("commit refused: %r", error)
            return False
        return True

    async def committed(self, partitions: Iterable[TopicPartition]) -> Starts:
        """What the group has committed, in one request; offset 0 where there is nothing."""
        wanted = list(partitions)
        if not wanted:
            return {}
        thread = cast(Consumer, self.consumer)._thread
        found = await thread.call_thread(thread._ensure_consumer()._coordinator.fetch_committed_offsets, wanted)
        return {tp: Start(max(0, got.offset), got.metadata) if (got := found.get(tp)) else Start(0) for tp in wanted}

    async def highwaters(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The partitions' end offsets, as the broker says now.

        Raises:
            KafkaError: it does not say.
        """
        wanted = list(partitions)
        found: Mapping[TopicPartition, int] = await self._call("end_offsets", wanted) if wanted else {}
        return found

    async def _call(self, method: str, argument: Any) -> Any:
        thread = cast(Consumer, self.consumer)._thread
        return await thread.call_thread(getattr(thread._ensure_consumer(), method), argument)

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        self.sought = False
        await self.revoked()
        for tp in self._last:
            last_record_age.remove(tp.topic, tp.partition)  # whoever has it now says how old it is
        self._last.clear()

    async def _on_shutdown(self, *_: Any, **__: Any) -> None:
        await self.revoked()

    async def _age(self) -> None:
        for tp, (offset, written) in list(self._last.items()):
            behind = offset + 1 < (self.consumer.highwater(faust.types.TP(*tp)) or 0)
            last_record_age.labels(tp.topic, tp.partition).set(time.time() - written if behind else 0.0)


def credentials(settings: Settings) -> Credentials | None:
    """How we log in to Kafka, in Faust's words."""
    options = login(settings)
    context = options.get("ssl_context")
    match settings.kafka_auth:
        case "none":
            return SSLCredentials(context) if context else None
        case "iam":
            return OAuthCredentials(oauth_cb=options["sasl_oauth_token_provider"], ssl_context=context)
    user, password = options["sasl_plain_username"], options["sasl_plain_password"]
    return SASLCredentials(username=user, password=password, mechanism=options["sasl_mechanism"], ssl_context=context)


async def _nothing() -> None:
    pass


async def _serve(build: Callable[[], Awaitable[App]], monitor_at: tuple[str, int]) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    app = await build()
    monitor = Monitor(lambda: app.reading)
    await monitor.start(*monitor_at)
    starting = asyncio.ensure_future(app.start())
    asked = asyncio.ensure_future(stop.wait())
    crashed = asyncio.ensure_future(app._crashed.wait())
    await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
    if not asked.done():
        starting.result()
        await asyncio.wait({asked, crashed}, return_when=asyncio.FIRST_COMPLETED)
    if app.crash_reason is not None:
        raise app.crash_reason
    async with asyncio.timeout(STOP_S):
        await app.stop()
        await monitor.stop()


def serve(service: str, level: str, build: Callable[[], Awaitable[App]], monitor_at: tuple[str, int]) -> None:
    """Run the app until SIGTERM or SIGINT, which let it finish and commit; a failure ends the process at once with code 1.

    Args:
        service, level: the name in the log, and from which level on it is written.
        build: makes the app inside the running loop.
        monitor_at: host and port of ``/livez``, ``/readyz`` and ``/metrics``.
    """
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    logger = log(service, level)
    try:
        asyncio.run(_serve(build, monitor_at))
    except FreshetError as error:
        logger.error("stopped", reason=str(error))
    except Exception:
        logger.exception("stopped by a failure")
    else:
        return
    os._exit(1)  # nothing more may be sent or committed, and Faust's threads would not let the process end
