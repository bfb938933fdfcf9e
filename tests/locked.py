"""Engines that let nobody in without a login and a certificate: Kafka's own TLS; a TLS door before Valkey and SeaweedFS.

Valkey's package is built without TLS, so that a door of our own stands before it.
"""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from infra.local import engines
from infra.local.ports import free_block

SHOP, PASSWORD = "shop", "s3cret-of-the-shop"
LISTENERS = """\
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},TLS://127.0.0.1:{tls},LOGIN://127.0.0.1:{login}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},TLS://localhost:{tls},LOGIN://localhost:{login}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,LOGIN:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.login.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.login.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  user_{user}="{password}";
listener.name.login.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where engines that let nobody in are."""

    plain: int
    """Kafka's port without either, which nobody is told of; ``tls`` has no login, ``login`` wants one by PLAIN or SCRAM-SHA-512."""
    tls: int
    login: int
    redis: str
    """URL, with the user and the password."""


class Certificates:
    """An authority and what it signed for ``localhost``, as files.

    Attributes:
        authority: PEM of the authority; ``stranger`` of one that signed nothing here.
        keystore: PEM of the key (PKCS 8, which Java reads) and its certificate.
    """

    def __init__(self, folder: Path) -> None:
        made, stranger = trustme.CA(), trustme.CA()
        issued = made.issue_cert("localhost", "127.0.0.1")
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.authority, self.stranger, self.keystore = folder / "ca.pem", folder / "stranger.pem", folder / "keystore.pem"
        made.cert_pem.write_to_path(self.authority)
        stranger.cert_pem.write_to_path(self.stranger)
        self.keystore.write_bytes(pem + b"".join(one.bytes() for one in issued.cert_chain_pems))

    def listeners(self, plain: int, tls: int, login: int) -> str:
        """Kafka's settings for a listener with TLS alone, and one with TLS and a login by PLAIN or SCRAM-SHA-512."""
        return LISTENERS.format(
            plain=plain,
            controller=plain + 1,
            tls=tls,
            login=login,
            keystore=self.keystore,
            authority=self.authority,
            user=SHOP,
            password=PASSWORD,
        )


@contextmanager
def closed_engines(home: Path, certificates: Certificates) -> Iterator[Addresses]:
    """Kafka and Valkey, which :data:`SHOP` enters with :data:`PASSWORD` over TLS."""
    first = free_block(6)
    listeners = certificates.listeners(first, tls=first + 2, login=first + 3)
    closed = f"--user default on nopass -@all +info --user {SHOP} on >{PASSWORD} ~* &* +@all".split()
    kafka = engines.kafka(home / "kafka", first, listeners, {SHOP: PASSWORD})
    store = engines.valkey(home / "valkey", first + 4, *closed)
    try:
        kafka.start()
        store.start()
        with tls_door(certificates, first + 5, first + 4):
            yield Addresses(first, first + 2, first + 3, f"rediss://{SHOP}:{PASSWORD}@localhost:{first + 5}/0")
    finally:
        store.stop()
        kafka.stop()


@contextmanager
def tls_door(certificates: Certificates, port: int, behind: int) -> Iterator[None]:
    """While open, ``port`` speaks TLS and hands on what it hears to ``behind``, both on this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.keystore)
    door = Door(context, port, behind)
    thread = threading.Thread(target=lambda: asyncio.run(door.stand_open()))
    thread.start()
    try:
        assert door.opened.wait(10)
        yield
    finally:
        door.close()
        thread.join()


class Door:
    """What :func:`tls_door` opens, in a loop of its own."""

    def __init__(self, context: ssl.SSLContext, port: int, behind: int) -> None:
        self._context, self._port, self._behind = context, port, behind
        self.opened = threading.Event()
        self._inside = set[asyncio.Task[None]]()

    async def stand_open(self) -> None:
        """Until closed; who is inside then is cut off."""
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._let_in, "127.0.0.1", self._port, ssl=self._context)
        self.opened.set()
        await self._closing.wait()
        server.close()
        for visit in self._inside:
            visit.cancel()
        await asyncio.gather(*self._inside, return_exceptions=True)

    def close(self) -> None:
        """From another thread."""
        self._loop.call_soon_threadsafe(self._closing.set)

    def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.create_task(self._between(reader, writer))
        self._inside.add(visit)
        visit.add_done_callback(self._inside.discard)

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, requests))
                both.create_task(_pass_on(answers, writer))
        finally:
            writer.transport.abort()
            requests.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
