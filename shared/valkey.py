"""The edge to Valkey: how every client of the online store connects and logs in, and why one was turned away."""

import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.exceptions import AuthenticationError, NoPermissionError

from shared.errors import BadSettings, StoreUnavailable
from shared.settings import Settings

TOKEN_S = 900
"""Seconds in which a token of ElastiCache opens a connection."""


def connect(settings: Settings, **options: Any) -> redis.Redis:
    """A client; it connects at its first command."""
    return redis.Redis.from_url(_address(settings), **_login(settings), **options)


def connect_async(settings: Settings, **options: Any) -> redis.asyncio.Redis:
    """The same for asyncio."""
    return redis.asyncio.Redis.from_url(_address(settings), **_login(settings), **options)


def away(settings: Settings, error: Exception) -> StoreUnavailable:
    """What to raise where a command failed: why, and what to change, without the password."""
    where = urlsplit(settings.redis)
    host = f"Valkey at {where.hostname}:{where.port or 6379}"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"shows a certificate that is not trusted ({cause.verify_message}): FRESHET_CA must hold its authority."
            return StoreUnavailable(f"{host} {reason}")
        if isinstance(cause, (AuthenticationError, NoPermissionError)):
            return StoreUnavailable(f"{host} refuses our login ({cause}): check the user and the password in FRESHET_REDIS.")
    return StoreUnavailable(f"{host} does not answer ({error}): is FRESHET_REDIS right?")


class Role(redis.CredentialProvider):
    """Tokens of ElastiCache: our role on AWS, signed anew for each connection.

    Args:
        user: the ElastiCache user that is this role.
        cluster: the replication group that the token opens.
        region: where it is.
    """

    def __init__(self, user: str, cluster: str, region: str) -> None:
        from botocore.session import Session

        self._user, self._cluster, self._region, self._session = user, cluster, region, Session()

    def get_credentials(self) -> tuple[str, str]:
        """User and token: a presigned ``connect``, without its scheme.

        Raises:
            BadSettings: no credentials of AWS are found.
        """
        from botocore.auth import SigV4QueryAuth
        from botocore.awsrequest import AWSRequest

        credentials = self._session.get_credentials()
        if credentials is None:
            raise BadSettings("FRESHET_REDIS_CLUSTER needs credentials of AWS, and none were found.")
        request = AWSRequest("GET", f"http://{self._cluster}/", params={"Action": "connect", "User": self._user})
        SigV4QueryAuth(credentials.get_frozen_credentials(), "elasticache", self._region, TOKEN_S).add_auth(request)
        return self._user, str(request.url).removeprefix("http://")


def _address(settings: Settings) -> str:
    """Without the user where the tokens name it."""
    where = urlsplit(settings.redis)
    return where._replace(netloc=where.netloc.rpartition("@")[2]).geturl() if settings.redis_cluster else settings.redis


def _login(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if settings.ca and settings.redis.startswith("rediss://"):
        options["ssl_ca_certs"] = str(settings.ca)
    if settings.redis_cluster:
        options["credential_provider"] = Role(urlsplit(settings.redis).username or "", settings.redis_cluster, settings.region)
    return options


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
