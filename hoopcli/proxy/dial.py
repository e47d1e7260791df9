"""Connecting to an upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

CONNECT_SECONDS = 15.0


async def dial(factory: Callable[[], asyncio.Protocol], host: str, port: int) -> str:
    """Connect ``factory``'s protocol to ``host:port``, trying every address. Returns why not, or ``""``."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await loop.create_connection(factory, host, port)
    except TimeoutError:
        return f"{host}:{port} did not answer within {CONNECT_SECONDS:.0f} s"
    except OSError as error:
        return f"{host}:{port} cannot be reached: {error.strerror or error}"
    return ""
