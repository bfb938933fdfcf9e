"""Every client gets through TLS and logins on real engines; one that is turned away says why in one sentence."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from infra.local import engines as local
from infra.local.ports import free_block
from shared import valkey
from shared.bundles.objects import S3Objects
from shared.errors import KafkaUnavailable, StorageUnavailable, StoreUnavailable
from shared.features.reader import FeatureReader
from shared.features.rows import Rows
from shared.kafka import check_topics, ensure_topics
from shared.settings import Settings
from tests.collector import read_all
from tests.conftest import PARTITIONS, empty_topics, variables
from tests.feature_service import Traffic, Worker, apply_plans, differences, read_log, settled, worker
from tests.integration.test_stream import reading, send
from tests.locked import PASSWORD, SHOP, Certificates, closed_engines, tls_door

pytestmark = pytest.mark.engines
CLOSING_S = 0.1
"""In which asyncio closes the socket of a handshake that failed: a loop that ends before leaves it open."""
WAYS = ("none", "plain", "scram")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[dict[str, Settings]]:
    """How to log in to Kafka → settings that do, over TLS; Valkey takes a user and a password over TLS besides."""
    login = {"kafka_user": SHOP, "kafka_password": PASSWORD}
    with closed_engines(tmp_path_factory.mktemp("locked"), certificates) as at:
        shared = {"kafka_tls": True, "redis": at.redis, "ca": certificates.authority, "partitions": PARTITIONS}
        yield {
            way: Settings(
                kafka=f"localhost:{at.tls if way == 'none' else at.login}",
                kafka_auth=way,
                **shared | ({} if way == "none" else login),  # type: ignore[arg-type]
            )
            for way in WAYS
        }


@pytest.mark.parametrize("way", WAYS)
async def test_every_client_of_kafka_gets_in(ways: dict[str, Settings], way: str) -> None:
    settings = ways[way]
    await ensure_topics(settings)
    before = len(await read_all(settings, "behaviour"))
    await send(settings, range(100))
    assert len(await read_all(settings, "behaviour")) == before + 100
    async with reading(settings, f"group-{way}") as faust:
        await faust.until(before + 100)
        assert await faust.app.commit_offsets({("behaviour", 0): (1, "seen")})


def test_the_features_service_counts_through_tls_and_logins(ways: dict[str, Settings], tmp_path: Path) -> None:
    settings = ways["scram"]
    asyncio.run(empty_topics(settings))
    apply_plans(settings)
    environment = variables(settings)

    async def served() -> Rows:
        reader = await FeatureReader.connect(settings)
        try:
            return await reader.read("u1", ["i0"])
        finally:
            await reader.close()

    with worker(environment, tmp_path):
        asyncio.run(Traffic(settings, users=5).send(300))
        asyncio.run(settled(settings))
        rows = asyncio.run(served())
        assert not rows.degraded
        assert rows.user.any()
        assert differences(settings, asyncio.run(read_log(settings))) == []


def turned_away(settings: Settings, **wrong: object) -> str:
    """What a client says whose settings are wrong."""
    changed = settings.model_copy(update=wrong)

    async def said() -> str:
        with pytest.raises(KafkaUnavailable) as refused:
            await check_topics(changed, ["behaviour"])
        await asyncio.sleep(CLOSING_S)
        return str(refused.value)

    return asyncio.run(said())


@pytest.mark.parametrize("way", ["plain", "scram"])
def test_a_wrong_password_is_said(ways: dict[str, Settings], way: str) -> None:
    wrong = Settings(kafka_auth=way, kafka_user=SHOP, kafka_password="guessed", kafka_tls=True)  # type: ignore[arg-type]
    said = turned_away(ways[way], kafka_password=wrong.kafka_password)
    assert said == "Kafka refuses our login: check FRESHET_KAFKA_USER and FRESHET_KAFKA_PASSWORD, or the role's policy."


def test_a_certificate_that_nobody_vouches_for_is_said(ways: dict[str, Settings], certificates: Certificates) -> None:
    for authority in (certificates.stranger, None):
        said = turned_away(ways["scram"], ca=authority)
        assert said.startswith("Kafka shows a certificate that is not trusted")
        assert said.endswith("FRESHET_CA must hold its authority.")


def test_another_listener_is_said(ways: dict[str, Settings]) -> None:
    plain = int(ways["none"].kafka.partition(":")[2]) - 2
    assert "FRESHET_KAFKA_TLS" in turned_away(ways["none"], kafka=f"127.0.0.1:{plain}")
    assert "FRESHET_KAFKA_TLS" in turned_away(ways["none"], kafka_tls=False)
    assert "FRESHET_KAFKA_AUTH" in turned_away(ways["plain"], kafka=ways["none"].kafka)
    assert "FRESHET_KAFKA_AUTH" in turned_away(ways["none"], kafka=ways["plain"].kafka)


def test_valkey_says_why_it_turns_away(ways: dict[str, Settings], certificates: Certificates) -> None:
    async def said(settings: Settings) -> str:
        with pytest.raises(StoreUnavailable) as refused:
            await FeatureReader.connect(settings)
        await asyncio.sleep(CLOSING_S)
        return str(refused.value)

    right = ways["scram"]
    guessed = right.model_copy(update={"redis": right.redis.replace(PASSWORD, "guessed")})
    nobody = right.model_copy(update={"redis": right.redis.replace(f"{SHOP}:{PASSWORD}@", "")})
    untrusted = right.model_copy(update={"ca": certificates.stranger})
    for wrong in (guessed, nobody):
        assert "check the user and the password in FRESHET_REDIS" in asyncio.run(said(wrong))
    assert "FRESHET_CA must hold its authority" in asyncio.run(said(untrusted))
    assert valkey.connect(right).ping()


def test_a_service_that_is_turned_away_ends_and_says_why(ways: dict[str, Settings], tmp_path: Path) -> None:
    environment = variables(ways["scram"]) | {"FRESHET_KAFKA_PASSWORD": "guessed"}
    process = Worker(environment, tmp_path).start(wait=False)
    try:
        assert process.process
        assert process.process.wait(60) == 1
    finally:
        process.kill()
    log = (tmp_path / "one.log").read_text()
    assert "Kafka refuses our login" in log
    assert "Traceback" not in log
    assert "guessed" not in log


def test_bundles_pass_through_tls(tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    first = free_block(local.S3_PORTS + 1)
    storage = local.seaweed(tmp_path, first)
    for name, value in local.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    settings = Settings(s3=f"https://localhost:{first + local.S3_PORTS}", bucket="ready")  # the engine's own probe made this bucket
    try:
        storage.start()
        with tls_door(certificates, first + local.S3_PORTS, first):
            with closing(S3Objects.connect(settings)) as objects, pytest.raises(StorageUnavailable, match="verify failed"):
                objects.read("one")
            monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates.authority))
            with closing(S3Objects.connect(settings)) as objects:
                objects.create("one", b"1")
                assert (found := objects.read("one"))
                assert found.data == b"1"
    finally:
        storage.stop()
