"""The SQL layer: login on both sides, then one exchange after another until somebody leaves."""

from __future__ import annotations

from connectors.sql.accept import Accepted, WrongSecretError, accept_client
from connectors.sql.catalog_reader import CatalogReader
from connectors.sql.exchange import Exchanges
from connectors.sql.link import Link, PeerGoneError
from connectors.sql.replies import error_message, login_answer
from connectors.sql.tds.packet import PacketType, packetize
from connectors.sql.upstream import UpstreamRefusedError, log_in
from hoopcli.errors import ProtocolError
from hoopcli.sansio.commands import ClosePeer, SendData, SetTimer
from hoopcli.sansio.events import Peer
from hoopcli.sansio.layer import Layer, Steps
from hoopcli.spi import LayerContext

LOGIN_SECONDS = 15.0
LOGIN_FAILED = 18456
_UPSTREAM_FAILED = 40613  # clients know this number as "try again later"
_PACKET_SIZE = 4096


def sql_layer(context: LayerContext) -> Layer:
    """Broker one client connection. A peer that hangs up ends it quietly; anything unforeseen is raised."""
    try:
        exchanges = yield from _log_in(context)
        if exchanges is not None:
            yield from exchanges.serve()
    except PeerGoneError:
        return


def _log_in(context: LayerContext) -> Steps[Exchanges | None]:
    yield SetTimer(LOGIN_SECONDS)
    try:
        client = yield from accept_client(context)
    except WrongSecretError as wrong:
        yield _refusal(wrong.link, LOGIN_FAILED, wrong)
        raise
    yield SetTimer(None)
    try:
        _check_database(context, client)
        upstream = yield from log_in(context, client)
    except UpstreamRefusedError as refused:
        number = refused.errors[0].number if refused.errors else _UPSTREAM_FAILED
        yield _refusal(client.link, number, refused)
        yield ClosePeer(Peer.CLIENT)
        return None
    answer = login_answer(client, upstream)
    yield client.link.send(packetize(PacketType.TABULAR_RESULT, [answer], _PACKET_SIZE))
    reads = context.target.options.get("catalog", "on") == "on"
    return Exchanges(context, client, upstream, CatalogReader(context, upstream) if reads else None)


def _check_database(context: LayerContext, client: Accepted) -> None:
    """A connection leads to one database, if it names one; the client cannot begin in another."""
    named, asked = context.target.options.get("database", ""), client.login.database
    if named and asked and named.lower() != asked.lower():
        raise UpstreamRefusedError(
            f"the connection {context.session.connection.name} leads to the database {named}, not to {asked}",
            f"connect with Database={named}",
        )


def _refusal(link: Link, number: int, error: ProtocolError) -> SendData:
    return link.send(
        packetize(PacketType.TABULAR_RESULT, [error_message(number, error.message, error.hint)], _PACKET_SIZE)
    )
