"""What connects where: which settings go together, what is never shown, and AWS' tokens."""

import hashlib
import hmac
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from shared import valkey
from shared.errors import BadSettings
from shared.kafka.login import Role, login, trust
from shared.settings import Settings

SCRAM = {"kafka_auth": "scram", "kafka_user": "shop", "kafka_password": "hidden"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kafka_auth": "scram", "kafka_user": "shop"}, "FRESHET_KAFKA_PASSWORD"),
        ({"kafka_auth": "plain", "kafka_password": "hidden"}, "FRESHET_KAFKA_USER"),
        ({"kafka_user": "shop"}, "takes no user"),
        ({"kafka_auth": "iam", "kafka_tls": True, "kafka_password": "hidden"}, "takes no user"),
        (SCRAM | {"kafka_auth": "plain"}, "FRESHET_KAFKA_TLS=true"),
        ({"kafka_auth": "iam"}, "FRESHET_KAFKA_TLS=true"),
        ({"kafka_auth": "kerberos"}, "FRESHET_KAFKA_AUTH"),
        ({"redis": "valkey:6379"}, "rediss://"),
        ({"redis_cluster": "shop"}, "rediss://user@"),
        ({"redis_cluster": "shop", "redis": "rediss://user:hidden@valkey:6379"}, "rediss://user@"),
        ({"ca": Path("nowhere.pem")}, "nowhere.pem"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_in_one_sentence(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(BadSettings, match=said) as refused:
        Settings.read(**wrong)
    assert "\n" not in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_secrets_are_not_shown() -> None:
    settings = Settings(**SCRAM, redis="rediss://shop:hidden@valkey:6379/0")
    shown = f"{settings!r} {settings} {valkey.away(settings, ConnectionError('gone'))}"
    assert "hidden" not in shown
    assert "Valkey at valkey:6379 does not answer (gone)" in shown


def test_a_file_may_hold_a_setting_and_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "freshet_kafka_password").write_text("from a file\n")
    (tmp_path / "freshet_kafka_user").write_text("from a file")
    for name, value in (("SECRETS", str(tmp_path)), ("KAFKA_AUTH", "scram"), ("KAFKA_USER", "shop")):
        monkeypatch.setenv(f"FRESHET_{name}", value)
    settings = Settings.read()
    assert (settings.kafka_user, settings.kafka_password.get_secret_value()) == ("shop", "from a file")
    monkeypatch.setenv("FRESHET_SECRETS", str(tmp_path / "nowhere"))
    with pytest.raises(BadSettings, match="FRESHET_SECRETS"):
        Settings.read()


def test_a_file_without_a_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    with pytest.raises(BadSettings, match="FRESHET_CA"):
        trust(tmp_path / "ca.pem")


def test_each_way_to_log_in_becomes_aiokafkas_options() -> None:
    assert login(Settings()) == {}
    assert login(Settings(kafka_tls=True))["security_protocol"] == "SSL"
    options = login(Settings(**SCRAM))
    assert (options["security_protocol"], options["sasl_mechanism"]) == ("SASL_PLAINTEXT", "SCRAM-SHA-512")
    assert login(Settings(**SCRAM, kafka_tls=True))["security_protocol"] == "SASL_SSL"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.usefixtures("aws")
async def test_a_role_gets_tokens_for_kafka() -> None:
    options = login(Settings(kafka_auth="iam", kafka_tls=True, region="eu-west-1"))
    assert (options["security_protocol"], options["sasl_mechanism"]) == ("SASL_SSL", "OAUTHBEARER")
    assert isinstance(options["sasl_oauth_token_provider"], Role)
    assert len(await options["sasl_oauth_token_provider"].token()) > 100


@pytest.mark.usefixtures("aws")
def test_a_role_gets_tokens_for_valkey_that_are_signed_as_aws_describes() -> None:
    """The signature, made here step by step from the request."""
    user, token = valkey.Role("shop-ranking", "shop", "eu-west-1").get_credentials()
    where = urlsplit(f"http://{token}")
    query = dict(parse_qsl(where.query))
    assert (user, where.netloc, query["Action"], query["User"], query["X-Amz-Expires"]) == (
        *("shop-ranking", "shop", "connect", "shop-ranking"),
        "900",
    )
    signature = query.pop("X-Amz-Signature")
    canonical = "\n".join(
        ("GET", "/", urlencode(sorted(query.items()), quote_via=quote), "host:shop\n", "host", hashlib.sha256(b"").hexdigest())
    )
    day, scope = query["X-Amz-Date"][:8], query["X-Amz-Credential"].partition("/")[2]
    assert scope == f"{day}/eu-west-1/elasticache/aws4_request"
    signed = "\n".join(("AWS4-HMAC-SHA256", query["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = b"AWS4secret"
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    assert hmac.new(key, signed.encode(), "sha256").hexdigest() == signature


@pytest.mark.usefixtures("aws")
def test_a_client_with_tokens_has_no_other_password() -> None:
    settings = Settings(redis="rediss://shop-ranking@valkey:6379/0", redis_cluster="shop")
    options = valkey.connect(settings).connection_pool.connection_kwargs
    assert options["host"] == "valkey"
    assert "username" not in options
    assert options["credential_provider"].get_credentials()[0] == "shop-ranking"
