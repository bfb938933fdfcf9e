"""Where services send their traces in a test: an OTLP endpoint that keeps every span."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """What a service said."""

    service: str
    name: str
    trace: str
    links: tuple[str, ...]
    """Traces."""


@dataclass
class Spans:
    """All that arrived so far."""

    url: str
    found: list[Span] = field(default_factory=list)

    def of(self, trace: str) -> dict[tuple[str, str], Span]:
        """A trace's spans by service and name."""
        return {(span.service, span.name): span for span in self.found if span.trace == trace}

    def take(self, body: bytes) -> None:
        """Keep what an exporter sent."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = next(one.value.string_value for one in resource.resource.attributes if one.key == "service.name")
            for scope in resource.scope_spans:
                for span in scope.spans:
                    links = tuple(link.trace_id.hex() for link in span.links)
                    self.found.append(Span(service, span.name, span.trace_id.hex(), links))


@contextmanager
def received() -> Iterator[Spans]:
    """Listen on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            spans.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        spans = Spans(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield spans
        finally:
            server.shutdown()
            thread.join()
