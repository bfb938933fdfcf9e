"""A ranking is followed from the caller's trace to the window that learns from it; nobody is followed where nobody asked."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import traces
from shared.settings import Settings

CALL = "0af7651916cd43dd8448eb211c80319c"
HEADERS = [(b"host", b"shop"), (b"traceparent", f"00-{CALL}-b7ad6b7169203331-01".encode())]


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What was made, of every call."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces.use(provider)
    yield exporter
    traces.use(None)


def made(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def test_a_ranking_is_below_its_caller_and_what_comes_of_it_is_below_the_ranking(spans: InMemorySpanExporter) -> None:
    with traces.called("/rank", HEADERS):
        ranking = traces.current()
    traces.note("join", ranking, 1_700_000_000.0, kind="list")
    found = made(spans)
    assert ranking.split("-")[1] == CALL
    assert found["/rank"].parent.span_id == 0xB7AD6B7169203331
    assert found["join"].parent.span_id == found["/rank"].context.span_id
    assert found["join"].start_time == 1_700_000_000 * 10**9


def test_a_window_has_its_own_trace_and_links_to_the_rankings_that_it_learned_from(spans: InMemorySpanExporter) -> None:
    with traces.called("/rank", HEADERS):
        ranking = traces.current()
    with traces.linked("window", ["", ranking, ranking], window=3) as trace_id:
        pass
    window = made(spans)["window"]
    assert trace_id == f"{window.context.trace_id:032x}" != CALL
    assert [f"{link.context.trace_id:032x}" for link in window.links] == [CALL]


def test_a_window_without_followed_examples_is_not_followed(spans: InMemorySpanExporter) -> None:
    with traces.linked("window", ["", ""], window=3) as trace_id:
        assert trace_id == ""
    assert not made(spans)


def test_who_sends_no_trace_is_followed_by_chance_and_who_declines_is_not(spans: InMemorySpanExporter) -> None:
    with traces.called("/rank", [(b"traceparent", f"00-{CALL}-b7ad6b7169203331-00".encode())]):
        assert traces.current() == ""
    with traces.called("/rank", []):
        assert traces.current()
    traces.use(TracerProvider(), share=0.0)
    with traces.called("/rank", []):
        assert traces.current() == ""


def test_where_traces_are_off_nothing_is_made() -> None:
    traces.begin("ranking", Settings())
    with traces.called("/rank", HEADERS), traces.linked("window", [f"00-{CALL}-b7ad6b7169203331-01"]) as trace_id:
        assert (traces.current(), trace_id) == ("", "")
