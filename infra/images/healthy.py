#!/venv/bin/python -IS
"""Ends with 0 where this container's ``/readyz`` answers 200. It runs every few seconds, so it imports nothing but sockets."""

import os
import socket


def healthy(port: int) -> bool:
    """Whether the service on this port says that it is ready."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in connection.makefile("rb").readline(64)
    except OSError:
        return False


if __name__ == "__main__":
    raise SystemExit(not healthy(int(os.environ["PORT"])))
