"""A small threaded WSGI server on loopback that can also misbehave at the socket.

A practice EHR must be able to fall silent, hang up, or stop in the middle of a body, exactly and on
command; a view asks for that through the `Wire` it finds in its environment.
"""

import io
import select
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote_to_bytes

LOOPBACK = "127.0.0.1"
MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_CONNECTIONS = 256
WORKING_THREADS = 8
IDLE_SECONDS = 75

WIRE_KEY = "practice.wire"


class WireEnd(StrEnum):
    """How an answer leaves."""

    SEND = "send"
    HANG_UP = "hang-up"  # close the connection without a status line
    TRUNCATE = "truncate"  # announce the whole body, send half of it, close
    SILENCE = "silence"  # say nothing for `seconds`, then close


@dataclass(slots=True)
class Wire:
    """What the view wants done with its answer."""

    working: threading.Semaphore
    end: WireEnd = WireEnd.SEND
    seconds: float = 0.0

    def pause(self, seconds: float) -> None:
        """Waits without keeping another request from working."""
        self.working.release()
        try:
            time.sleep(seconds)
        finally:
            self.working.acquire()


class PracticeServer(ThreadingHTTPServer):
    """One thread a connection, eight of them working at a time."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, *, port: int, app: Callable[..., Iterable[bytes]], on_thread_end: Callable[[], None]
    ) -> None:
        self.app = app
        self.on_thread_end = on_thread_end
        self.working = threading.Semaphore(WORKING_THREADS)
        self._connections = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__((LOOPBACK, port), PracticeHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.on_thread_end()
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is everyday business here; anything else is worth a line."""
        kind = sys.exc_info()[0]
        if kind is not None and not issubclass(kind, OSError):
            super().handle_error(request, client_address)


class PracticeHandler(BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive; the whole answer is built before its first byte is sent."""

    server: PracticeServer
    protocol_version = "HTTP/1.1"
    server_version = "PracticeEHR/1"
    sys_version = ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """The request log is in the database, at /_practice/log."""

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            return
        wire = Wire(self.server.working)
        answer: dict[str, Any] = {}

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> None:
            answer.update(status=status, headers=headers)

        with self.server.working:
            result = self.server.app(self._environ(body, wire), start_response)
            try:
                content = b"".join(result)
            finally:
                close = getattr(result, "close", None)
                if close is not None:
                    close()
        if wire.end is WireEnd.SILENCE:
            self._stay_silent(wire.seconds)
        if wire.end in {WireEnd.SILENCE, WireEnd.HANG_UP}:
            self.close_connection = True
            return
        self._send(
            answer["status"], answer["headers"], content, truncated=wire.end is WireEnd.TRUNCATE
        )

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815 - the base's names

    def _body(self) -> bytes | None:
        """The request's body, or None after a refusal was sent."""
        if self.headers.get("Transfer-Encoding"):
            self._refuse("411 Length Required")
            return None
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            self._refuse("400 Bad Request")
            return None
        if not 0 <= length <= MAX_BODY_BYTES:
            self._refuse("413 Content Too Large")
            return None
        body = self.rfile.read(length)
        if len(body) != length:  # the client hung up in the middle: nothing was asked
            self.close_connection = True
            return None
        return body

    def _refuse(self, status: str) -> None:
        self.close_connection = True
        self._send(status, [("Connection", "close")], b"")

    def _send(
        self,
        status: str,
        headers: list[tuple[str, str]],
        content: bytes,
        *,
        truncated: bool = False,
    ) -> None:
        code = int(status.split(" ", 1)[0])
        lines = [
            f"HTTP/1.1 {status}",
            f"Server: {self.server_version}",
            f"Date: {self.date_time_string()}",
        ]
        lines += [f"{name}: {value}" for name, value in headers if name.lower() != "content-length"]
        if code not in {204, 304}:
            lines.append(f"Content-Length: {len(content)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if self.command == "HEAD" or code in {204, 304}:
            content = b""
        if truncated:
            content = content[: len(content) // 2]
            self.close_connection = True
        self.wfile.write(head + content)
        self.wfile.flush()

    def _stay_silent(self, seconds: float) -> None:
        """Waits out the silence, or less when the client hangs up first."""
        select.select([self.connection], [], [], seconds)

    def _environ(self, body: bytes, wire: Wire) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": LOOPBACK,
            "SERVER_PORT": str(self.server.server_address[1]),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            WIRE_KEY: wire,
        }
        for name, value in self.headers.items():
            key = f"HTTP_{name.upper().replace('-', '_')}"
            if key not in {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}:
                environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ
