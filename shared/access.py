"""Who may come through an HTTP door, and how often: keys with scopes, and a limit for each client."""

import hashlib
import hmac
import math
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from shared.errors import BadSettings, Denied

SHORTEST_KEY = 16
"""Characters; ``openssl rand -hex 32`` makes a good one."""
CLIENTS = 10_000
"""Clients whose limits are remembered. Beyond, those not seen for longest begin anew."""
BEARER = b"bearer "


class Key(NamedTuple):
    """What is known of a key."""

    digest: bytes
    """Its SHA-256: keys themselves are not kept."""
    scopes: frozenset[str]


def keys(text: str, scopes: Collection[str]) -> tuple[Key, ...]:
    """The keys of a setting: ``events:KEY events+items:KEY``, separated by white space. Any number is valid at once.

    Args:
        text: the setting.
        scopes: those that the service has.

    Raises:
        BadSettings: a key is short, or its scope is unknown. It is not repeated in the sentence.
    """
    found = []
    for number, word in enumerate(text.split(), 1):
        named, _, key = word.partition(":")
        asked = frozenset(named.split("+"))
        if len(key) < SHORTEST_KEY or not asked <= set(scopes):
            known = "+".join(sorted(scopes))
            raise BadSettings(f"API key {number} is not SCOPES:KEY, with scopes of {known} and at least {SHORTEST_KEY} characters.")
        found.append(Key(hashlib.sha256(key.encode()).digest(), asked))
    return tuple(found)


class Access:
    """Lets requests in. Without keys everybody may come; without a rate as often as they like.

    Args:
        keys: who may do what.
        rate: requests a second of one client, which is a key, or an address where there are no keys; 0 for no limit. What a client
            leaves unused in a second it may send at once.
        clock: monotonic seconds.
    """

    def __init__(self, keys: Collection[Key] = (), rate: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys, self._clock = tuple(keys), clock
        self._limit = Limit(rate) if rate else None

    def admit(self, scope: Mapping[str, Any], wanted: str) -> None:
        """Let an ASGI request do what needs the scope ``wanted``.

        Raises:
            Denied: 401 without a valid key, 403 where it has not this scope, 429 above the rate.
        """
        client = self._known(_token(scope), wanted) if self._keys else (scope.get("client") or ("",))[0]
        if self._limit and (wait := self._limit.wait(client, self._clock())) > 0:
            raise Denied(429, "Too many requests of this client: try again later.", retry=math.ceil(wait))

    def _known(self, token: bytes, wanted: str) -> bytes:
        digest, found = hashlib.sha256(token).digest(), None
        for key in self._keys:  # to the end, whichever fits: the time taken tells nothing
            if hmac.compare_digest(digest, key.digest):
                found = key
        if found is None:
            raise Denied(401, "Send a valid key: Authorization: Bearer KEY.")
        if wanted not in found.scopes:
            raise Denied(403, f"This key may not do this: it lacks the scope {wanted}.")
        return digest


class Limit:
    """A token bucket for each client, as one number: the moment at which it is full again (GCRA, ITU-T I.371)."""

    def __init__(self, rate: float, clients: int = CLIENTS) -> None:
        self._step, self._clients = 1.0 / rate, clients
        self._burst = max(1.0, self._step)  # seconds' worth of tokens
        self._full: dict[Any, float] = {}

    def wait(self, client: Any, now: float) -> float:
        """Take a token; 0 where there was one, else the seconds until there is."""
        full = max(self._full.pop(client, now), now) + self._step
        if full - now > self._burst + 1e-9:
            self._full[client] = full - self._step
            return full - now - self._burst
        self._full[client] = full  # at the end: the first one is who was not seen for longest
        if len(self._full) > self._clients:
            del self._full[next(iter(self._full))]
        return 0.0


def _token(scope: Mapping[str, Any]) -> bytes:
    for name, value in scope["headers"]:
        if name == b"authorization" and value[:7].lower() == BEARER:
            return bytes(value[7:])
    return b""
