"""The operations of the Blob service's and the Data Lake's REST references, one row each, to be compared with them.

A row is found by method, level, the parameters that select it (``restype=container&comp=list``) and the headers that
do. Its options are all the other parameters that it may have. Anything else is no known operation.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """What the path of a request names. The value is the signed resource type of an account SAS."""

    ACCOUNT = "s"
    CONTAINER = "c"
    BLOB = "o"


class Body(Enum):
    """What the request carries."""

    NONE = "none"
    DOCUMENT = "document"  # XML or text that says what to do
    CONTENT = "content"  # bytes of a blob
    BATCH = "batch"


class Answer(Enum):
    """What a good answer carries, beside headers."""

    PLAIN = "plain"  # nothing of a blob: empty, or a document about settings
    PROPERTIES = "properties"  # a blob's or container's metadata in headers
    CONTENT = "content"  # bytes of a blob as they are stored
    DERIVED = "derived"  # content in another form: the rows of a query
    TAGS = "tags"  # XML with a blob's tags
    CONTAINERS = "containers"  # XML: List Containers
    BLOBS = "blobs"  # XML: List Blobs
    FOUND = "found"  # XML: Find Blobs by Tags
    FILESYSTEMS = "filesystems"  # JSON
    PATHS = "paths"  # JSON
    BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Row:
    """One operation of the reference.

    ``select`` are the selecting parameters, ``options`` the other parameters, ``needs`` and ``may`` the selecting
    headers (``name`` or ``name=value``). ``sas`` are the permissions of which a SAS must have one (``*``: any; ``C``:
    create, which is enough where nothing can be overwritten). ``tree`` says that it reaches all below the path,
    ``more`` names further verbs on the same resources, ``api`` is the endpoint that takes it.
    """

    name: str
    methods: str
    level: Level
    select: str
    verb: str
    sas: str
    options: str = ""
    needs: str = ""
    may: str = ""
    answer: Answer = Answer.PLAIN
    body: Body = Body.NONE
    tree: bool = False
    more: tuple[str, ...] = ()
    api: str = "blob"


_S, _C, _B = Level.ACCOUNT, Level.CONTAINER, Level.BLOB
_VERSION = "snapshot versionid"
_LIST = "prefix marker maxresults include"
_PAGES = "snapshot marker maxresults"
_SOURCE = "x-ms-copy-source"
_BLOB_TYPE = "x-ms-blob-type"
_TOKENS = "continuation"
_LEASING = "x-ms-lease-action"

# fmt: off
_ACCOUNT = (
    Row("List Containers", "GET", _S, "comp=list", "blob:list", "l", _LIST, answer=Answer.CONTAINERS),
    Row("Get Blob Service Properties", "GET", _S, "restype=service&comp=properties", "blob:service-read", "r"),
    Row("Set Blob Service Properties", "PUT", _S, "restype=service&comp=properties", "blob:service-write", "w",
        body=Body.DOCUMENT),
    Row("Get Blob Service Stats", "GET", _S, "restype=service&comp=stats", "blob:service-read", "r"),
    Row("Get User Delegation Key", "POST", _S, "restype=service&comp=userdelegationkey", "blob:delegate", "",
        body=Body.DOCUMENT),
    Row("Find Blobs by Tags", "GET", _S, "comp=blobs", "blob:list", "f", "where marker maxresults include",
        answer=Answer.FOUND),
    Row("Blob Batch", "POST", _S, "comp=batch", "blob:batch", "*", answer=Answer.BATCH, body=Body.BATCH),
    # The client for JavaScript takes the account in a path for a container.
    Row("Blob Batch", "POST", _S, "restype=container&comp=batch", "blob:batch", "*",
        answer=Answer.BATCH, body=Body.BATCH),
)
_EVERYWHERE = tuple(
    row
    for level in Level
    for row in (
        Row("Get Account Information", "GET HEAD", level, "restype=account&comp=properties", "blob:service-read", "*"),
        Row("Preflight Blob Request", "OPTIONS", level, "", "blob:service-read", "*"),
    )
)
_CONTAINER = (
    Row("Create Container", "PUT", _C, "restype=container", "blob:create-container", "cw"),
    Row("Get Container Properties", "GET HEAD", _C, "restype=container", "blob:read", "rl", answer=Answer.PROPERTIES),
    Row("Get Container Metadata", "GET HEAD", _C, "restype=container&comp=metadata", "blob:read", "r",
        answer=Answer.PROPERTIES),
    Row("Set Container Metadata", "PUT", _C, "restype=container&comp=metadata", "blob:write", "w"),
    Row("Get Container ACL", "GET HEAD", _C, "restype=container&comp=acl", "blob:get-acl", ""),
    Row("Set Container ACL", "PUT", _C, "restype=container&comp=acl", "blob:set-acl", "",
        body=Body.DOCUMENT, tree=True),
    Row("Delete Container", "DELETE", _C, "restype=container", "blob:delete-container", "d", tree=True),
    Row("Lease Container", "PUT", _C, "restype=container&comp=lease", "blob:lease", "w", needs=_LEASING),
    Row("Restore Container", "PUT", _C, "restype=container&comp=undelete", "blob:undelete", "w",
        needs="x-ms-deleted-container-name", may="x-ms-deleted-container-version", tree=True),
    Row("Rename Container", "PUT", _C, "restype=container&comp=rename", "blob:create-container", "",
        needs="x-ms-source-container-name", may="x-ms-source-lease-id", tree=True),
    Row("List Blobs", "GET", _C, "restype=container&comp=list", "blob:list", "l",
        f"{_LIST} delimiter showonly startFrom endBefore", answer=Answer.BLOBS),
    Row("Find Blobs by Tags in Container", "GET", _C, "restype=container&comp=blobs", "blob:list", "f",
        "where marker maxresults include", answer=Answer.FOUND),
    Row("Blob Batch", "POST", _C, "restype=container&comp=batch", "blob:batch", "*",
        answer=Answer.BATCH, body=Body.BATCH),
)
_BLOB = (
    Row("Get Blob", "GET", _B, "", "blob:read", "r", _VERSION, answer=Answer.CONTENT),
    Row("Get Blob Properties", "HEAD", _B, "", "blob:read", "r", _VERSION, answer=Answer.PROPERTIES),
    Row("Get Blob Metadata", "GET HEAD", _B, "comp=metadata", "blob:read", "r", _VERSION, answer=Answer.PROPERTIES),
    Row("Get Blob Tags", "GET", _B, "comp=tags", "blob:read", "t", _VERSION, answer=Answer.TAGS),
    Row("Get Block List", "GET", _B, "comp=blocklist", "blob:read", "r", f"{_VERSION} blocklisttype"),
    Row("Get Page Ranges", "GET", _B, "comp=pagelist", "blob:read", "r", f"{_PAGES} versionid prevsnapshot"),
    Row("Query Blob Contents", "POST", _B, "comp=query", "blob:query", "r", _VERSION,
        answer=Answer.DERIVED, body=Body.DOCUMENT, more=("blob:read",)),
    Row("Put Blob", "PUT", _B, "", "blob:write", "Cw", needs=_BLOB_TYPE, body=Body.CONTENT),
    Row("Put Blob From URL", "PUT", _B, "", "blob:copy", "Cw", needs=f"{_BLOB_TYPE}=BlockBlob {_SOURCE}",
        more=("blob:write",)),
    Row("Copy Blob", "PUT", _B, "", "blob:copy", "Cw", needs=_SOURCE, may="x-ms-requires-sync=false",
        more=("blob:write",)),
    Row("Copy Blob From URL", "PUT", _B, "", "blob:copy", "Cw", needs=f"{_SOURCE} x-ms-requires-sync=true",
        more=("blob:write",)),
    Row("Incremental Copy Blob", "PUT", _B, "comp=incrementalcopy", "blob:copy", "Cw", needs=_SOURCE,
        more=("blob:write",)),
    Row("Abort Copy Blob", "PUT", _B, "comp=copy", "blob:copy", "w", "copyid", needs="x-ms-copy-action=abort"),
    Row("Put Block", "PUT", _B, "comp=block", "blob:write", "cw", "blockid", body=Body.CONTENT),
    Row("Put Block From URL", "PUT", _B, "comp=block", "blob:copy", "cw", "blockid", needs=_SOURCE,
        more=("blob:write",)),
    Row("Put Block List", "PUT", _B, "comp=blocklist", "blob:write", "Cw", body=Body.DOCUMENT),
    Row("Append Block", "PUT", _B, "comp=appendblock", "blob:write", "aw", body=Body.CONTENT),
    Row("Append Block From URL", "PUT", _B, "comp=appendblock", "blob:copy", "aw", needs=_SOURCE,
        more=("blob:write",)),
    Row("Append Blob Seal", "PUT", _B, "comp=seal", "blob:write", "w"),
    Row("Put Page", "PUT", _B, "comp=page", "blob:write", "w", needs="x-ms-page-write=update", body=Body.CONTENT),
    Row("Clear Page", "PUT", _B, "comp=page", "blob:write", "w", needs="x-ms-page-write=clear"),
    Row("Put Page From URL", "PUT", _B, "comp=page", "blob:copy", "w", needs=f"x-ms-page-write=update {_SOURCE}",
        more=("blob:write",)),
    Row("Set Blob Properties", "PUT", _B, "comp=properties", "blob:write", "w", may="x-ms-sequence-number-action"),
    Row("Set Blob Metadata", "PUT", _B, "comp=metadata", "blob:write", "w"),
    Row("Set Blob Tags", "PUT", _B, "comp=tags", "blob:set-tags", "t", "versionid", body=Body.DOCUMENT),
    Row("Set Blob Tier", "PUT", _B, "comp=tier", "blob:set-tier", "w", _VERSION),
    Row("Set Blob Expiry", "PUT", _B, "comp=expiry", "blob:write", "w", more=("blob:delete",)),
    Row("Lease Blob", "PUT", _B, "comp=lease", "blob:lease", "w", needs=_LEASING),
    Row("Snapshot Blob", "PUT", _B, "comp=snapshot", "blob:snapshot", "cw"),
    Row("Delete Blob", "DELETE", _B, "", "blob:delete", "d", f"{_VERSION} deletetype"),
    Row("Undelete Blob", "PUT", _B, "comp=undelete", "blob:undelete", "w"),
    Row("Set Blob Immutability Policy", "PUT", _B, "comp=immutabilityPolicies", "blob:set-immutability", "i", _VERSION),
    Row("Delete Blob Immutability Policy", "DELETE", _B, "comp=immutabilityPolicies", "blob:set-immutability", "i",
        _VERSION),
    Row("Set Blob Legal Hold", "PUT", _B, "comp=legalhold", "blob:set-immutability", "i", _VERSION),
)
_PATHS = "directory recursive maxResults upn beginFrom"
_APPEND, _FLUSH = "position flush", "position retainUncommittedData close"
_RECURSIVE = "mode forceFlag maxRecords continuation"
_DFS_ACCOUNT = (
    Row("Filesystem - List", "GET", _S, "resource=account", "blob:list", "l", f"prefix maxResults {_TOKENS}",
        answer=Answer.FILESYSTEMS, api="dfs"),
)
_DFS_CONTAINER = (
    Row("Filesystem - Create", "PUT", _C, "resource=filesystem", "blob:create-container", "cw", api="dfs"),
    Row("Filesystem - Get Properties", "HEAD", _C, "resource=filesystem", "blob:read", "r",
        answer=Answer.PROPERTIES, api="dfs"),
    Row("Filesystem - Set Properties", "PATCH", _C, "resource=filesystem", "blob:write", "w", api="dfs"),
    Row("Filesystem - Delete", "DELETE", _C, "resource=filesystem", "blob:delete-container", "d", tree=True, api="dfs"),
    Row("Path - List", "GET", _C, "resource=filesystem", "blob:list", "l", f"{_PATHS} {_TOKENS}",
        answer=Answer.PATHS, api="dfs"),
)
_DFS_PATH = (
    Row("Path - Create", "PUT", _B, "resource=file", "blob:write", "Cw", "mode", api="dfs"),
    Row("Path - Create Directory", "PUT", _B, "resource=directory", "blob:write", "Cw", "mode", api="dfs"),
    *(
        Row("Path - Rename", "PUT", _B, select, "blob:write", "mw", f"mode {_TOKENS}",
            needs="x-ms-rename-source", may="x-ms-source-lease-id", tree=True, api="dfs")
        for select in ("", "resource=file", "resource=directory")
    ),
    Row("Path - Append", "PATCH", _B, "action=append", "blob:write", "aw", _APPEND, may=_LEASING,
        body=Body.CONTENT, api="dfs"),
    Row("Path - Flush", "PATCH", _B, "action=flush", "blob:write", "w", _FLUSH, may=_LEASING, api="dfs"),
    Row("Path - Set Properties", "PATCH", _B, "action=setProperties", "blob:write", "w", api="dfs"),
    Row("Path - Lease", "POST", _B, "", "blob:lease", "w", needs=_LEASING, api="dfs"),
    Row("Path - Get Status", "HEAD", _B, "action=getStatus", "blob:read", "r", "upn",
        answer=Answer.PROPERTIES, api="dfs"),
    Row("Path - Delete Recursive", "DELETE", _B, "recursive=true", "blob:delete", "d", f"paginated {_TOKENS}",
        tree=True, api="dfs"),
    Row("Path - Delete", "DELETE", _B, "recursive=false", "blob:delete", "d", f"paginated {_TOKENS}", api="dfs"),
    Row("Path - Undelete", "PUT", _B, "comp=undelete", "blob:undelete", "w", needs="x-ms-undelete-source",
        tree=True, api="dfs"),
)
_DFS_ACL = tuple(
    row
    for level in (_C, _B)
    for row in (
        Row("Path - Get Access Control", "HEAD", level, "action=getAccessControl", "blob:get-acl", "re", "upn",
            answer=Answer.PROPERTIES, api="dfs"),
        Row("Path - Set Access Control", "PATCH", level, "action=setAccessControl", "blob:set-acl", "p", api="dfs"),
        Row("Path - Set Access Control Recursive", "PATCH", level, "action=setAccessControlRecursive", "blob:set-acl",
            "p", _RECURSIVE, tree=True, api="dfs"),
    )
)
# fmt: on

ROWS: tuple[Row, ...] = (
    *_ACCOUNT, *_EVERYWHERE, *_CONTAINER, *_BLOB, *_DFS_ACCOUNT, *_DFS_CONTAINER, *_DFS_PATH, *_DFS_ACL
)  # fmt: skip

#: Headers whose presence and value choose the operation.
SELECTING_HEADERS: frozenset[str] = frozenset(
    {name.partition("=")[0] for row in ROWS for name in (*row.needs.split(), *row.may.split())}
)

#: What a request may say beside the headers of its operation. Another ``x-ms-`` header makes it an unknown one; any
#: other header does not go upstream. Keys of the client's own (``x-ms-encryption-key``), bodies in another encoding
#: (``x-ms-structured-body``) and URLs of snapshots elsewhere (``x-ms-previous-snapshot-url``) are not among them.
_HEADERS = """
    cache-control content-disposition content-encoding content-language content-length content-md5 content-type
    if-match if-modified-since if-none-match if-unmodified-since range user-agent traceparent tracestate
    x-ms-access-tier x-ms-access-tier-if-modified-since x-ms-access-tier-if-unmodified-since x-ms-acl
    x-ms-blob-cache-control x-ms-blob-condition-appendpos x-ms-blob-condition-maxsize x-ms-blob-content-disposition
    x-ms-blob-content-encoding x-ms-blob-content-language x-ms-blob-content-length x-ms-blob-content-md5
    x-ms-blob-content-type x-ms-blob-public-access x-ms-blob-sequence-number
    x-ms-blob-if-match x-ms-blob-if-modified-since x-ms-blob-if-none-match x-ms-blob-if-unmodified-since
    x-ms-cache-control x-ms-client-request-id x-ms-content-crc64 x-ms-content-disposition x-ms-content-encoding
    x-ms-content-language x-ms-content-md5 x-ms-content-type x-ms-copy-source-blob-properties
    x-ms-copy-source-tag-option x-ms-date x-ms-default-encryption-scope x-ms-delete-snapshots
    x-ms-deny-encryption-scope-override x-ms-encryption-scope x-ms-expiry-option x-ms-expiry-time x-ms-group
    x-ms-if-sequence-number-eq x-ms-if-sequence-number-le x-ms-if-sequence-number-lt x-ms-if-tags
    x-ms-immutability-policy-mode x-ms-immutability-policy-until-date x-ms-lease-break-period x-ms-lease-duration
    x-ms-lease-id x-ms-legal-hold x-ms-owner x-ms-permissions x-ms-properties x-ms-proposed-lease-id x-ms-range
    x-ms-range-get-content-crc64 x-ms-range-get-content-md5 x-ms-rehydrate-priority x-ms-return-client-request-id
    x-ms-seal-blob x-ms-source-content-crc64 x-ms-source-content-md5 x-ms-source-if-match
    x-ms-source-if-modified-since x-ms-source-if-none-match x-ms-source-if-tags x-ms-source-if-unmodified-since
    x-ms-source-range x-ms-tags x-ms-umask x-ms-useragent x-ms-version
"""
HEADERS: frozenset[str] = SELECTING_HEADERS | frozenset(_HEADERS.split())

#: Parameters of a SAS, and of the version it asks for: they prove or date a request, and select nothing.
_SAS_PARAMETERS = """
    sv ss srt sr sp st se sip spr si sig ses sdd skoid sktid skt ske sks skv saoid suoid scid sduoid skdutid
    rscc rscd rsce rscl rsct api-version srh srq
"""
SAS_PARAMETERS: frozenset[str] = frozenset(_SAS_PARAMETERS.split())
