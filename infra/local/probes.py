"""Whether an engine answers in its own protocol: an open port alone proves nothing."""

import socket
import struct
from collections.abc import Mapping
from typing import Any

SOMETHING = b"ready" * 200
"""What lies on a volume: SeaweedFS keeps nothing at all beside the name, before it knows where its volumes are."""
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""Kafka's ApiVersions request, version 0, without a client's name: size, key, version, correlation id, no name."""


def kafka(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a broker answers ApiVersions, which it does once it takes requests."""
    answer = _ask(host, port, API_VERSIONS, 10)
    return len(answer) == 10 and struct.unpack(">iih", answer)[1:] == (1, 0)  # correlation id, no error


def valkey(port: int, pid: int, host: str = "127.0.0.1") -> bool:
    """Whether the server on this port is the process ``pid`` and has read its data; 0 accepts any process."""
    info = _ask(host, port, b"INFO server\r\nINFO persistence\r\n", 1 << 16, until=b"loading:")
    return b"\nloading:0" in info and (pid == 0 or b"\nprocess_id:%d\r" % pid in info)


def s3(endpoint: str, credentials: Mapping[str, str] | None, bucket: str = "ready") -> bool:
    """Whether an object can be written there and read; creates the bucket that the question is asked with."""
    from botocore.exceptions import BotoCoreError, ClientError

    client = s3_client(endpoint, credentials)
    try:
        if bucket not in [found["Name"] for found in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="ready", Body=SOMETHING)
        client.get_object(Bucket=bucket, Key="ready")["Body"].read()
    except (BotoCoreError, ClientError):
        return False
    finally:
        client.close()
    return True


def s3_client(endpoint: str, credentials: Mapping[str, str] | None, region: str = "us-east-1") -> Any:
    """A client that answers within seconds or gives up, for questions of readiness; no ``credentials`` means the environment's."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    given = credentials or {}
    session = boto3.session.Session(given.get("AWS_ACCESS_KEY_ID"), given.get("AWS_SECRET_ACCESS_KEY"), region_name=region)
    return session.client("s3", endpoint_url=endpoint or None, config=config)


def _ask(host: str, port: int, request: bytes, size: int, until: bytes = b"") -> bytes:
    """What a server answers: ``size`` bytes, or fewer where ``until`` or the end came first; nothing where nobody answers."""
    answer = b""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(request)
            while len(answer) < size and not (until and until in answer):
                part = connection.recv(size - len(answer))
                if not part:
                    break
                answer += part
    except OSError:
        return b""
    return answer
