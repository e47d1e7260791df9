"""OpenTelemetry traces from the command line to the server. Off, and free, unless the usual variables say where to.

``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``_TRACES_ENDPOINT``) turns them on, ``OTEL_SDK_DISABLED`` off; the other ``OTEL_``
variables mean what they mean everywhere. A span has a method, a route and a status: never a statement, a name, an
address with an id, a header, a token or the text of an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from hoopcli.errors import UsageError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SECONDS: Final = 5.0
_active: list[TracerProvider] = []

Kind = Literal["internal", "client", "server"]
Value = str | int
_NONE: Final[Mapping[str, Value]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Traced:
    """What a piece of work tells of itself as it goes on. ``trace`` is empty where nothing is traced."""

    span: Span | None = None

    @property
    def trace(self) -> str:
        """The id of the trace, 32 hex digits."""
        return format(self.span.get_span_context().trace_id, "032x") if self.span else ""

    @property
    def headers(self) -> dict[str, str]:
        """What a request carries so that its server goes on with the trace (W3C Trace Context)."""
        if self.span is None:
            return {}
        context = self.span.get_span_context()
        return {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"}

    def tell(self, attributes: Mapping[str, Value] = _NONE, *, name: str = "", failed: bool = False) -> None:
        """Add attributes, a better name, or that it failed."""
        if self.span is None:
            return
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - heavy, and an extra

        self.span.set_attributes(dict(attributes))
        if name:
            self.span.update_name(name)
        if failed:
            self.span.set_status(StatusCode.ERROR)


def configured(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether traces are wanted."""
    return any(environ.get(name) for name in _ENDPOINTS) and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


def start(service: str, environ: Mapping[str, str] = os.environ) -> Callable[[], None]:
    """Begin to trace this process if that is wanted; what ends it and sends what is left. Raises UsageError."""
    if not configured(environ):
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise UsageError("traces need an extra of hoop", "run: pip install 'hoop[otel]'") from error
    name = environ.get("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(resource=Resource.create({"service.name": name}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=_SECONDS)))
    _active.append(provider)

    def stop() -> None:
        _active.remove(provider)
        provider.shutdown()

    return stop


@contextmanager
def span(name: str, kind: Kind = "internal", carrier: Mapping[str, str] | None = None) -> Iterator[Traced]:
    """A span around a block, below the one around it, or with a ``carrier`` below the one that its traceparent names.

    An exception marks it as failed; what the exception says stays out of it.
    """
    if not _active:
        yield Traced()
        return
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    context: Any = None
    if carrier is not None:
        context = TraceContextTextMapPropagator().extract(dict(carrier), trace.set_span_in_context(trace.INVALID_SPAN))
    made = _active[-1].get_tracer("hoop").start_span(name, context, trace.SpanKind[kind.upper()])
    with trace.use_span(made, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        traced = Traced(made)
        try:
            yield traced
        except BaseException:
            traced.tell(failed=True)
            raise
