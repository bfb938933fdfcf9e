"""What the operators' containers find: services under their names, and the keys where they are mounted."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.operate import lag
from infra.local.operate.commands.bundles import signing
from infra.local.programs import services as of_the_stack
from infra.local.settings import StackSettings
from tests.compose.project import services

METRICS = 'freshet_last_record_age_seconds{{partition="{0}",topic="items"}} {1}\n'


class Metrics(http.server.BaseHTTPRequestHandler):
    """A service that has read one partition."""

    age = 0.0

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(METRICS.format(self.server.server_address[1], self.age).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def two() -> Iterator[list[str]]:
    """Two replicas, of which one is 2 s behind and the other 7 s."""
    handlers = [type("Behind", (Metrics,), {"age": age}) for age in (2.0, 7.0)]
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in handlers]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [url for server in servers for url in lag.replicas("localhost", server.server_address[1])]
    for server in servers:
        server.shutdown()
        server.server_close()


def test_lag_is_of_whichever_replica_is_furthest_behind(two: list[str]) -> None:
    assert [url.split(":")[1] for url in two] == ["//127.0.0.1"] * 2
    assert lag.ages({"features": two, "joiner": lag.replicas("no-such.invalid", 1)}) == {("features", "items"): (7.0, 2)}


def test_the_operators_container_asks_each_service_under_its_own_name() -> None:
    told = services()["operator"]["environment"]
    assert told["FRESHET_BY_NAME"] == "true"
    asked = {(service.name, service.host, service.port) for service in of_the_stack(StackSettings(by_name=True))}
    ports = {name: services()[name]["environment"][f"FRESHET_{name.upper()}_PORT"] for name, _, _ in asked}
    assert asked == {(name, name, port) for name, port in ports.items()}
    assert {service.host for service in of_the_stack(StackSettings())} == {"127.0.0.1"}


def test_what_signs_is_the_stack_s_own_key_or_the_one_that_the_updater_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRESHET_SIGNING_KEY", "/run/freshet/signing.pem")
    settings = StackSettings(state=tmp_path)
    assert signing(settings) == Path("/run/freshet/signing.pem")
    settings.keys[0].parent.mkdir()
    settings.keys[0].touch()
    assert signing(settings) == tmp_path / "keys" / "signing.pem"
