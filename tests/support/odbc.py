"""Microsoft's ODBC driver by its C interface, for what pyodbc does not show: the sensitivity of a result."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.sql.driver import odbc_driver
from hoopcli.spi import Listen

_ENVIRONMENT, _CONNECTION, _STATEMENT = 1, 2, 3
_ODBC_VERSION, _ODBC_3 = 200, 3
_CLASSIFICATION_VERSION = 1400  # SQL_COPT_SS_DATACLASSIFICATION_VERSION
_CLASSIFICATION = 1237  # SQL_CA_SS_DATA_CLASSIFICATION
_ROW_DESCRIPTOR = 10012
_CHAR = 1
_ROOM = 4096


def classified(listen: Listen, text: str, version: int) -> tuple[bytes, str]:
    """What a query's result is said to be, as the driver gives it, and the first value of its first row."""
    library = ctypes.CDLL(ctypes.util.find_library("odbc") or "libodbc.so.2")
    where = (
        f"Driver={odbc_driver()};Server=127.0.0.1,{listen.port};Database=shop;UID={listen.user};PWD={listen.secret};"
        "Encrypt=no"
    )
    with _handle(library, _ENVIRONMENT, None) as environment:
        _done(library.SQLSetEnvAttr(environment, _ODBC_VERSION, ctypes.c_void_p(_ODBC_3), 0))
        with _handle(library, _CONNECTION, environment) as connection:
            _done(library.SQLSetConnectAttrW(connection, _CLASSIFICATION_VERSION, ctypes.c_void_p(version), -5))
            _done(library.SQLDriverConnectW(connection, None, _wide(where), len(where), None, 0, None, 0))
            try:
                with _handle(library, _STATEMENT, connection) as statement:
                    _done(library.SQLExecDirectW(statement, _wide(text), len(text)))
                    return _sensitivity(library, statement), _first(library, statement)
            finally:
                library.SQLDisconnect(connection)


@contextmanager
def _handle(library: ctypes.CDLL, kind: int, parent: ctypes.c_void_p | None) -> Iterator[ctypes.c_void_p]:
    handle = ctypes.c_void_p()
    _done(library.SQLAllocHandle(kind, parent, ctypes.byref(handle)))
    try:
        yield handle
    finally:
        library.SQLFreeHandle(kind, handle)


def _sensitivity(library: ctypes.CDLL, statement: ctypes.c_void_p) -> bytes:
    descriptor, size, room = ctypes.c_void_p(), ctypes.c_int(), ctypes.create_string_buffer(_ROOM)
    _done(library.SQLGetStmtAttrW(statement, _ROW_DESCRIPTOR, ctypes.byref(descriptor), -4, None))
    _done(library.SQLGetDescFieldW(descriptor, 0, _CLASSIFICATION, room, _ROOM, ctypes.byref(size)))
    return room.raw[: size.value]


def _first(library: ctypes.CDLL, statement: ctypes.c_void_p) -> str:
    size, room = ctypes.c_ssize_t(), ctypes.create_string_buffer(_ROOM)
    _done(library.SQLFetch(statement))
    _done(library.SQLGetData(statement, 1, _CHAR, room, _ROOM, ctypes.byref(size)))
    return room.value.decode()


def _wide(text: str) -> bytes:
    return (text + "\0").encode("utf-16-le")


def _done(code: int) -> None:
    assert code in {0, 1}, f"the driver answered {code}"
