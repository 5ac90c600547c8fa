"""A real HTTP server for tests: serves a folder with byte ranges, and goes wrong where it is told to.

Tests get it from the fixture `http_server`:

    server = http_server(folder)                                        # serves at once, stops after the test
    fsspec.open(f"{server.url}/train/images_000.tar")
    server.fail("train/images_000.tar", truncate=1000, times=2)         # the first two GETs end after 1,000 bytes
    server.fail("train/images_001.tar", status=503, headers={"Retry-After": "0"})
    assert [request.range for request in server.seen("train/images_000.tar")] == [None, "bytes=1000-"]

It speaks HTTP/1.1 with connections kept alive, answers HEAD, single ranges (206 and 416), `If-Range`, `ETag`
and `Last-Modified`, and lists folders like `python -m http.server`.
"""

import re
import select
import threading
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import md5
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str  # without the leading slash
    range: str | None
    if_range: str | None


@dataclass
class Fault:
    """What goes wrong with a path; see `HttpServer.fail`."""

    times: int | None = None
    method: str = "GET"
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    truncate: int | None = None
    stall: int | None = None
    ignore_range: bool = False
    no_length: bool = False


class HttpServer:
    """Serves `folder` at `url` until `close`, to all or to `owner` alone ("user:password"); `requests` holds what was
    asked, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.owner: str | None = None
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._faults: dict[str, list[Fault]] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def fail(self, path: str, **fault: Any) -> None:
        """Let requests of `path` go wrong; several faults of a path come after each other.

        Args:
            path: below the folder, without a leading slash; the file need not exist.
            **fault: `times` how many requests it hits (default: all that follow); `method` ("GET", "HEAD" or "*");
                and any of: `status` answer with this and a short text; `headers` add or replace these (None
                leaves one out); `content` serve these bytes instead of the file; `truncate` announce the whole
                and close the connection after this many bytes of the body; `stall` send this many bytes of the
                body, then nothing until the client hangs up; `ignore_range` answer 200 with the whole;
                `no_length` leave out Content-Length, so that the end of the connection ends the body.
        """
        self._faults.setdefault(path, []).append(Fault(**fault))

    def heal(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def seen(self, path: str, method: str = "GET") -> list[Request]:
        """The requests of one path so far."""
        return [request for request in self.requests if (request.path, request.method) == (path, method)]

    def close(self) -> None:
        """Stop; requests under way are cut off."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def arrived(self, request: Request) -> Fault:
        """Record a request and say what goes wrong with it."""
        with self._lock:
            self.requests.append(request)
            for fault in self._faults.get(request.path, ()):
                if fault.method in (request.method, "*") and fault.times != 0:
                    fault.times = None if fault.times is None else fault.times - 1
                    return fault
        return Fault()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128  # with the default of 5, a burst of connections waits a second for another try
    owner: HttpServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what tests are about."""


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the acknowledgement of its header
    server: _Server

    def __init__(self, request: Any, client_address: Any, server: _Server) -> None:
        super().__init__(request, client_address, server, directory=str(server.owner.folder))

    def log_message(self, format: str, *args: Any) -> None:
        """Be quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name = unquote(urlsplit(self.path).path).lstrip("/")
        request = Request(self.command, name, self.headers["Range"], self.headers["If-Range"])
        fault = self.server.owner.arrived(request)
        path = Path(self.translate_path(self.path))
        owner = self.server.owner.owner
        if owner is not None and self.headers["Authorization"] != f"Basic {b64encode(owner.encode()).decode()}":
            self._answer(fault, 401, b"who are you?\n", {})
        elif fault.status is not None:
            self._answer(fault, fault.status, b"the server says no\n", {})
        elif fault.content is not None:
            self._serve(fault, request, fault.content, {"ETag": f'"{md5(fault.content).hexdigest()}"'})
        elif path.is_dir():
            super().do_GET() if self.command == "GET" else super().do_HEAD()
        elif path.is_file():
            about = path.stat()
            tags = {
                "ETag": f'"{about.st_mtime_ns:x}-{about.st_size:x}"',
                "Last-Modified": self.date_time_string(about.st_mtime),
            }
            self._serve(fault, request, path.read_bytes(), tags)
        else:
            self._answer(fault, 404, b"no such file\n", {})

    def _serve(self, fault: Fault, request: Request, content: bytes, tags: dict[str, str]) -> None:
        headers = {**tags, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        wanted = RANGE.fullmatch(request.range or "")
        if (
            wanted is None
            or wanted[0] == "bytes=-"
            or fault.ignore_range
            or request.if_range not in (None, tags["ETag"])
        ):
            self._answer(fault, 200, content, headers)
            return
        size = len(content)
        start = int(wanted[1]) if wanted[1] else max(0, size - int(wanted[2]))
        end = min(size, int(wanted[2]) + 1) if wanted[1] and wanted[2] else size
        if start >= end:
            self._answer(fault, 416, b"", {**headers, "Content-Range": f"bytes */{size}"})
            return
        self._answer(fault, 206, content[start:end], {**headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"})

    def _answer(self, fault: Fault, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        if fault.no_length:
            self.close_connection = True
        else:
            headers = {"Content-Length": str(len(body)), **headers}
        for name, value in {**headers, **fault.headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        limit = fault.truncate if fault.truncate is not None else fault.stall
        self.wfile.write(body[:limit])
        if fault.stall is not None:
            self._wait_until_client_leaves()
        if limit is not None:
            self.close_connection = True

    def _wait_until_client_leaves(self) -> None:
        while not self.server.owner.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.02)
            if readable and not self.connection.recv(1024):
                return
