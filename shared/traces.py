"""Traces by OpenTelemetry, from a shop's call to the window that learns from it; nothing is imported where they are off.

A ranking's span is the child of what the caller sent as ``traceparent``. Its own travels in the impression, and so in every example
of it: the joiner makes a span of the join below it, and a window links to the rankings that it learned from. The manifest of a
bundle names the trace of its last window.
"""

import atexit
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from random import random
from typing import Any

from shared.errors import BadSettings
from shared.settings import Settings

LINKS = 32
"""Of one window, at most: enough to find examples, few enough to be shown."""
_tracer: Any = None
_share = 1.0


def begin(service: str, settings: Settings) -> None:
    """Send spans to the OTLP endpoint of the settings, from here on; nothing where they name none.

    Raises:
        BadSettings: OpenTelemetry is not installed.
    """
    if not settings.traces:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import DEFAULT_ON
    except ImportError as error:
        raise BadSettings(f"FRESHET_TRACES needs OpenTelemetry ({error}): pip install 'freshet[tracing]'") from None
    resource = Resource.create({"service.name": service})
    provider = TracerProvider(sampler=DEFAULT_ON, resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{settings.traces.rstrip('/')}/v1/traces")))
    use(provider, settings.traces_share)
    atexit.register(provider.shutdown)


def use(provider: Any, share: float = 1.0) -> None:
    """Make spans with this ``TracerProvider``, of this share of the calls whose caller does not say; ``None`` for none."""
    global _tracer, _share
    _tracer, _share = provider.get_tracer("freshet") if provider else None, share


@contextmanager
def called(name: str, headers: Iterable[tuple[bytes, bytes]]) -> Iterator[None]:
    """A span of the answer to an HTTP request with these ASGI headers, below the caller's."""
    if _tracer is None:
        yield
        return
    sent = next((value.decode("latin-1") for key, value in headers if key == b"traceparent"), "")
    if not sent and random() >= _share:
        yield
        return
    from opentelemetry.trace import SpanKind

    with _tracer.start_as_current_span(name, context=_context(sent), kind=SpanKind.SERVER):
        yield


def current() -> str:
    """The ``traceparent`` of the span that we are in; empty where there is none, or it is not followed."""
    if _tracer is None:
        return ""
    from opentelemetry import trace

    found = trace.get_current_span().get_span_context()
    if not found.trace_flags.sampled:
        return ""
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-01"


def note(name: str, parent: str, began: float, **attributes: str | int | float) -> None:
    """A span from ``began`` (seconds since 1970) until now, below a ``traceparent`` that came with a record."""
    if _tracer is None or not parent:
        return
    span = _tracer.start_span(name, context=_context(parent), start_time=int(began * 1e9), attributes=attributes)
    span.end()


@contextmanager
def linked(name: str, parents: Iterable[str], **attributes: str | int | float) -> Iterator[str]:
    """A span of a trace of its own, linked to those that came with its records; yields that trace's id. None came: no span."""
    followed = list(dict.fromkeys(parent for parent in parents if parent))[:LINKS] if _tracer is not None else []
    if not followed:
        yield ""
        return
    from opentelemetry.trace import Link, get_current_span

    links = [Link(get_current_span(_context(parent)).get_span_context()) for parent in followed]
    with _tracer.start_as_current_span(name, context=_context(""), links=links, attributes=attributes) as span:
        yield f"{span.get_span_context().trace_id:032x}"


def _context(traceparent: str) -> Any:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent} if traceparent else {}, Context())
