"""A relay in front of a server that ends the connection, or something else, at a chosen byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Relay:
    """Passes connections on to a port. Once ``after`` bytes of requests, or of answers, have passed, it cuts."""

    target: int
    after: int = -1
    of_answers: bool = False
    cut: Callable[[], None] = lambda: None
    port: int = 0
    passed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, after: int, cut: Callable[[], None] = lambda: None, *, of_answers: bool = False) -> None:
        self.after, self.cut, self.of_answers, self.passed = after, cut, of_answers, 0

    def disarm(self) -> None:
        self.after = -1

    def serve(self, client: socket.socket) -> None:
        with closing(client), suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as upstream:
            back = threading.Thread(target=self._pump, args=(upstream, client, True))
            back.start()
            self._pump(client, upstream, False)
            back.join()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                kept, cut = self._take(data, answers)
                sink.sendall(kept)
                if cut:
                    self.cut()
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _take(self, data: bytes, answers: bool) -> tuple[bytes, bool]:
        with self._lock:
            if self.after < 0 or answers != self.of_answers:
                return data, False
            kept = data[: max(0, self.after - self.passed)]
            self.passed += len(data)
            return kept, self.passed >= self.after


@contextmanager
def relay(target: int) -> Iterator[Relay]:
    """A relay on a free port, until the block ends."""
    made = Relay(target)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made.port = listener.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=made.serve, args=(client,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)
