"""API keys and limits: who gets in, what the others are told, and what stays bounded."""

import hashlib
import hmac
import time

import pytest

from shared.access import CLIENTS, Access, Limit, keys
from shared.errors import BadSettings, Denied

SCOPES = ("events", "items")
OLD, NEW, LAST = "old-key-0123456789", "new-key-0123456789", "last-key-0123456789"


def request(key: str = "", address: str = "10.0.0.1") -> dict[str, object]:
    """An ASGI request."""
    header = [(b"authorization", b"Bearer " + key.encode())] if key else []
    return {"headers": [(b"host", b"shop"), (b"content-type", b"application/json"), *header], "client": (address, 1)}


def denied(access: Access, given: dict[str, object], wanted: str = "events") -> Denied:
    with pytest.raises(Denied) as found:
        access.admit(given, wanted)
    return found.value


def test_without_keys_everybody_may_come() -> None:
    Access().admit(request(), "events")


def test_two_keys_are_valid_at_once_and_each_has_its_scopes() -> None:
    access = Access(keys(f"events:{OLD} events+items:{NEW}", SCOPES))
    for key in (OLD, NEW):
        access.admit(request(key), "events")
    access.admit(request(NEW), "items")
    assert denied(access, request(OLD), "items").status == 403


@pytest.mark.parametrize("key", ["", "wrong-key-0123456789", OLD[:-1], OLD + "0", OLD.upper()])
def test_another_key_is_turned_away(key: str) -> None:
    error = denied(Access(keys(f"events:{OLD}", SCOPES)), request(key))
    assert error.status == 401
    assert "Authorization: Bearer" in str(error)
    assert not key or key not in str(error)


@pytest.mark.parametrize("sent", [OLD, NEW, LAST, "wrong-key-0123456789"])
def test_a_key_is_compared_with_all_whichever_fits(sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared, compare = [], hmac.compare_digest

    def spy(given: bytes, known: bytes) -> bool:
        compared.append((given, known))
        return compare(given, known)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    access = Access(keys(f"events:{OLD} events:{NEW} events:{LAST}", SCOPES))
    if sent.startswith("wrong"):
        denied(access, request(sent))
    else:
        access.admit(request(sent), "events")
    old, new, last, given = (hashlib.sha256(key.encode()).digest() for key in (OLD, NEW, LAST, sent))
    assert compared == [(given, old), (given, new), (given, last)]


def test_another_way_to_authenticate_is_no_key() -> None:
    basic = {"headers": [(b"authorization", b"Basic " + OLD.encode())], "client": None}
    assert denied(Access(keys(f"events:{OLD}", SCOPES)), basic).status == 401


@pytest.mark.parametrize("text", [OLD, "events:short", f"rank:{OLD}", f":{OLD}", f"events+:{OLD}", f"events:{OLD} items:short"])
def test_a_key_that_is_none_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BadSettings, match="events\\+items") as refused:
        keys(text, SCOPES)
    assert OLD not in str(refused.value)
    assert "short" not in str(refused.value)


def test_above_its_rate_a_client_is_told_when_to_come_again() -> None:
    now = [0.0]
    access = Access(keys(f"events:{OLD} events:{NEW}", SCOPES), 10.0, lambda: now[0])
    for _ in range(10):
        access.admit(request(OLD), "events")
    error = denied(access, request(OLD))
    assert (error.status, error.retry) == (429, 1)
    access.admit(request(NEW), "events")
    now[0] = 0.1
    access.admit(request(OLD, address="10.0.0.2"), "events")
    assert denied(access, request(OLD)).status == 429


def test_a_steady_client_at_its_rate_is_never_held_up() -> None:
    limit = Limit(7.0)
    assert [limit.wait("a", n / 7.0) for n in range(1_000)] == [0.0] * 1_000
    assert sum(limit.wait("b", n / 70.0) == 0.0 for n in range(700)) == pytest.approx(77, abs=1)


def test_a_rate_below_one_a_second_lets_one_in_and_says_how_long_the_next_waits() -> None:
    limit = Limit(0.1)
    assert limit.wait("a", 0.0) == 0.0
    assert limit.wait("a", 1.0) == pytest.approx(9.0)
    assert limit.wait("a", 10.0) == 0.0


def test_without_keys_an_address_is_a_client() -> None:
    access = Access((), 1.0, lambda: 0.0)
    access.admit(request(address="10.0.0.1"), "events")
    access.admit(request(address="10.0.0.2"), "events")
    assert denied(access, request(address="10.0.0.1")).status == 429


def test_memory_is_bounded_and_who_comes_often_is_not_forgotten() -> None:
    limit = Limit(1.0)
    limit.wait("often", 0.0)
    for n in range(3 * CLIENTS):
        limit.wait(n, 0.0)
        assert limit.wait("often", 0.0) > 0
    assert len(limit._full) == CLIENTS


def test_a_request_costs_little() -> None:
    """Under 20 µs; the fastest of a few rounds, as the machine has other work too."""
    access, given = Access(keys(f"events:{OLD} events+items:{NEW}", SCOPES), 1e9), request(NEW)
    rounds = []
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(1_000):
            access.admit(given, "events")
        rounds.append((time.perf_counter() - began) / 1_000)
    assert min(rounds) < 20e-6
