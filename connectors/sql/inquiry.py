"""Questions of the broker's own, asked over the connection that the client's statements take.

Each runs inside ``sp_executesql``, so that the options it sets end with it, and it sets those that could make an answer
short or leave a transaction open. It is asked as the client's own request will be: reset, and in its transaction.
"""

from __future__ import annotations

from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.headers import AUTOCOMMIT, Headers
from connectors.sql.tds.packet import MessageReader, PacketType, Status, packetize
from connectors.sql.tds.request import Parameter, ProcId, Request, RpcCall, RpcRequest, SqlBatch, encode_request
from connectors.sql.tds.types import MAX, TypeId, TypeInfo
from connectors.sql.upstream import LoggedIn
from hoopcli.errors import ProtocolError
from hoopcli.sansio.layer import Steps

ANSWER_LIMIT = 64 << 20
_NVARCHAR_MAX = TypeInfo(TypeId.NVARCHAR, MAX, collation=LATIN1)
_OPTIONS = "SET NOCOUNT ON SET ROWCOUNT 0 SET TEXTSIZE 2147483647 SET IMPLICIT_TRANSACTIONS OFF SET XACT_ABORT OFF"


def inquiry(text: str, headers: Headers) -> RpcRequest:
    """The request that asks what a batch asks, within the client's transaction."""
    parameter = Parameter(_NVARCHAR_MAX, f"{_OPTIONS}\n{text}")
    return RpcRequest((RpcCall(proc_id=ProcId.SP_EXECUTESQL, parameters=(parameter,)),), headers)


def is_inquiry(request: Request) -> bool:
    """Whether a request is one that ``inquiry`` makes, for servers that tell them from a client's."""
    text = (
        request.calls[0].parameters[0].value if isinstance(request, RpcRequest) and request.calls[0].parameters else ""
    )
    return isinstance(text, str) and text.startswith(_OPTIONS)


def headers_of(request: Request) -> Headers:
    """In which transaction to ask before a request."""
    return request.headers if isinstance(request, SqlBatch | RpcRequest) else AUTOCOMMIT


def ask(upstream: LoggedIn, question: RpcRequest, resets: Status) -> Steps[bytes]:
    """The tokens of the answer. Raises ProtocolError for anything that is no answer."""
    _, payload = encode_request(question)
    yield upstream.link.send(packetize(PacketType.RPC, [payload], upstream.packet_size, resets))
    reader = MessageReader(ANSWER_LIMIT, packet_size=upstream.packet_size)
    message = yield from upstream.link.message(reader)
    if message.type is not PacketType.TABULAR_RESULT or not reader.idle:
        raise ProtocolError("the upstream answered a question of the broker's own with something else")
    return message.payload
