"""``hoop exec NAME ls|get|put|rm|cat``: jobs on blobs through a session, with Microsoft's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from connectors.blob.hint import connection_string
from connectors.blob.transfer import download, upload
from hoopcli.errors import ApprovalPendingError, DeniedError, HoopError, UpstreamError, UsageError
from hoopcli.model.access import Connection
from hoopcli.spi import Job, Listen, Table

_USAGE = "use: ls [CONTAINER[/PREFIX]], get PATH [FILE], put FILE PATH, cat PATH, rm PATH; a PATH is CONTAINER/NAME"
_SAID = "hoop: "


def execute(listen: Listen, connection: Connection, job: Job) -> Iterator[Table]:
    """Do one job. Raises UsageError, DeniedError, ApprovalPendingError, UpstreamError."""
    verb, *words = job.words or ("",)
    jobs: dict[str, Callable[..., Iterator[Table]]] = {"ls": _ls, "get": _get, "put": _put, "cat": _cat, "rm": _rm}
    arities = {"ls": (0, 1), "get": (1, 2), "put": (2, 2), "cat": (1, 1), "rm": (1, 1)}
    if verb not in jobs:
        raise UsageError(f"there is no job {verb!r} on blobs" if verb else "there is nothing to do", _USAGE)
    least, most = arities[verb]
    if not least <= len(words) <= most:
        raise UsageError(f"{verb} does not take {len(words)} words", _USAGE)
    return _explained(jobs[verb], listen, connection, job, words)


def _explained(
    work: Callable[..., Iterator[Table]], listen: Listen, connection: Connection, job: Job, words: list[str]
) -> Iterator[Table]:
    try:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - half a second
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415
    except ImportError:
        raise UsageError("there is no Blob Storage client for hoop exec", "run: pip install 'hoop[exec]'") from None
    try:
        with BlobServiceClient.from_connection_string(
            connection_string(listen, connection), retry_total=0, read_timeout=None
        ) as service:
            yield from work(service, job, *words)
    except AzureError as error:
        raise _as_ours(error) from error


def _as_ours(error: Exception) -> HoopError:
    """The client's error as hoop's: what the broker said comes first."""
    said = str(getattr(error, "reason", "") or error).strip()
    text = str(getattr(error, "message", "") or said)
    if _SAID not in text:
        code = getattr(error, "error_code", None)
        first = text.partition("\n")[0]
        return UpstreamError(f"{first} ({code})" if code and str(code) not in first else first)
    message, _, hint = text.partition(_SAID)[2].partition("\n")[0].partition("; ")
    kind: type[HoopError] = (
        ApprovalPendingError if " is expired" in message or " is waiting" in message else DeniedError
    )
    return kind(message, hint)


def _ls(service: Any, _job: Job, where: str = "") -> Iterator[Table]:
    if not where:
        rows = [[found.name, _moment(found.last_modified)] for found in service.list_containers()]
        yield Table(["container", "modified"], rows, _count(len(rows), "container"))
        return
    container, _, prefix = where.partition("/")
    rows = [
        [found.name, found.size, found.content_settings.content_type or "", _moment(found.last_modified)]
        for found in service.get_container_client(container).list_blobs(name_starts_with=prefix or None)
    ]
    yield Table(["name", "size", "type", "modified"], rows, _count(len(rows), "blob"))


def _get(service: Any, job: Job, path: str, file: str = "") -> Iterator[Table]:
    blob = _blob(service, path)
    name = path.rpartition("/")[2]
    if not file and name in {"", ".", ".."}:
        raise UsageError(f"{path!r} does not end in a name for a file", "name the file: get PATH FILE")
    target = Path(file or name)
    if target.is_dir():
        target /= name
    size = download(blob, target, job.progress)
    yield Table([], [], f"{size:,} bytes to {target}")


def _put(service: Any, job: Job, file: str, path: str) -> Iterator[Table]:
    source = Path(file)
    if not source.is_file():
        raise UsageError(f"{file} is not a file", _USAGE)
    if path.endswith("/"):
        path += source.name
    size = upload(_blob(service, path), source, job.progress)
    yield Table([], [], f"{size:,} bytes to {path}")


def _cat(service: Any, job: Job, path: str) -> Iterator[Table]:
    if job.out is None:
        raise UsageError("cat prints the bytes of a blob as they are", "leave out --json and --format, or use get")
    stream = _blob(service, path).download_blob(max_concurrency=1)
    for chunk in stream.chunks():
        job.out.write(chunk)
    job.out.flush()
    yield from ()


def _rm(service: Any, _job: Job, path: str) -> Iterator[Table]:
    _blob(service, path).delete_blob()
    yield Table([], [], f"deleted {path}")


def _blob(service: Any, path: str) -> Any:
    container, slash, name = path.partition("/")
    if not (container and slash and name):
        raise UsageError(f"{path!r} is not the path of a blob", _USAGE)
    return service.get_blob_client(container, name)


def _moment(value: Any) -> str:
    return value.isoformat(" ", "seconds") if value is not None else ""


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
