"""TCP ports: which are free, and who holds one that is not."""

import random
import socket

import psutil

from shared.errors import BadSettings

LOWEST, HIGHEST = 20_000, 32_000
"""Below what systems hand out to clients, so that no outgoing connection takes a port between the look and the start."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the waiting ends of closed connections do not count
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def owner(port: int) -> str:
    """Who listens on a port, as ``name (process id)``; ``another process`` where the system does not tell."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass  # other users' processes are hidden from us: the sentence is less precise, and still true
    return "another process"


def require_free(ports: dict[int, str]) -> None:
    """Refuse to start on taken ports.

    Args:
        ports: port → the name of what wants to listen there.

    Raises:
        BadSettings: names the first taken port, who holds it, and what to do.
    """
    for port, name in ports.items():
        if not is_free(port):
            raise BadSettings(f"port {port}, which {name} needs, is taken by {owner(port)}: stop that or give {name} another port")


def free_block(size: int, tries: int = 200) -> int:
    """The first of ``size`` free ports in a row, chosen at random so that sessions side by side seldom meet.

    Raises:
        BadSettings: there is no such block.
    """
    for _ in range(tries):
        first = random.randrange(LOWEST, HIGHEST - size)
        if all(is_free(port) for port in range(first, first + size)):
            return first
    raise BadSettings(f"no {size} free ports in a row between {LOWEST} and {HIGHEST}: stop other servers")
