"""What a server counts, in a registry of its own so that several servers fit into one process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The instruments of one server. Labels have few values; none names a person, a ledger or a statement."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "hoop_http_requests_total", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "hoop_http_request_seconds", "Time to answer a request", ["method", "route"], registry=self.registry
        )
        self.records = Counter("hoop_sync_records_total", "Records stored", registry=self.registry)
        self.cosignatures = Counter("hoop_witness_cosignatures_total", "Checkpoints cosigned", registry=self.registry)
        self.alerts = Counter("hoop_ledger_alerts_total", "Alerts about ledgers", ["kind"], registry=self.registry)
        self.silent = Gauge("hoop_ledgers_silent", "Ledgers silent while sessions are open", registry=self.registry)
