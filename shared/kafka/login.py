"""How every client of Kafka logs in, and why one was turned away."""

import asyncio
import ssl
from functools import cache
from pathlib import Path
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from shared.errors import BadSettings
from shared.settings import Settings

MECHANISMS = {"plain": "PLAIN", "scram": "SCRAM-SHA-512", "iam": "OAUTHBEARER"}


def login(settings: Settings) -> dict[str, Any]:
    """The options of an aiokafka client that say how it connects.

    Raises:
        BadSettings: the authorities' file cannot be used, or the extra ``msk`` is not installed.
    """
    if settings.kafka_auth == "none":
        return {"security_protocol": "SSL", "ssl_context": trust(settings.ca)} if settings.kafka_tls else {}
    options: dict[str, Any] = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": MECHANISMS[settings.kafka_auth]}
    if settings.kafka_tls:
        options |= {"security_protocol": "SASL_SSL", "ssl_context": trust(settings.ca)}
    if settings.kafka_auth == "iam":
        return options | {"sasl_oauth_token_provider": Role(settings.region)}
    return options | {
        "sasl_plain_username": settings.kafka_user,
        "sasl_plain_password": settings.kafka_password.get_secret_value(),
    }


@cache
def trust(ca: Path | None) -> ssl.SSLContext:
    """The authorities whose certificates are believed: the system's and those of the file.

    Raises:
        BadSettings: it holds no certificate.
    """
    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(ca)
        except OSError as error:
            raise BadSettings(f"FRESHET_CA: {ca} holds no certificate in PEM ({error}).") from None
    return context


class Role(AbstractTokenProvider):  # type: ignore[misc]
    """The tokens of MSK: our role on AWS, signed for a quarter of an hour. Each connection asks for one of its own.

    Raises:
        BadSettings: the extra ``msk`` is not installed.
    """

    def __init__(self, region: str) -> None:
        try:
            from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
        except ImportError:
            raise BadSettings("FRESHET_KAFKA_AUTH=iam needs the extra msk: pip install 'freshet[msk]'.") from None
        self._signer, self._region = MSKAuthTokenProvider, region

    async def token(self) -> str:
        """A new token; on a thread, as the credentials may have to be fetched."""
        signed, _ = await asyncio.to_thread(self._signer.generate_auth_token, self._region)
        return str(signed)


def told(error: BaseException | None) -> str:
    """Why a broker turned us away, and what to change, in one sentence; empty where it did not."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"Kafka shows a certificate that is not trusted ({error.verify_message}): FRESHET_CA must hold its authority."
        case ssl.SSLError() | ConnectionResetError() | KafkaConnectionError():
            return "A broker took the connection and hung up: do FRESHET_KAFKA_TLS and FRESHET_KAFKA_AUTH fit the listener?"
        case UnsupportedSaslMechanismError() | IllegalSaslStateError():
            return "Kafka does not take this way to log in there: check FRESHET_KAFKA_AUTH."
        case SaslAuthenticationFailed() | AuthenticationFailedError():
            return "Kafka refuses our login: check FRESHET_KAFKA_USER and FRESHET_KAFKA_PASSWORD, or the role's policy."
    return ""
