"""A small Hugging Face Hub on the loopback address: headers, redirects to a store, ranges, and every way to fail."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubFile:
    """A file and how its server behaves; ``claimed`` is what the headers say of it, where they lie."""

    body: bytes
    claimed: bytes | None = None
    status: int = 200  # of the headers, on the Hub
    store_status: int = 200
    cuts: list[int] = field(default_factory=list)  # bytes after which the next answers break off
    stall: threading.Event | None = None  # set by a test: answers stop after the headers until then
    stalls_after: int = 0
    ranges: bool = True


@dataclass
class Request:
    """What was asked, on the Hub (``/owner/...``) or in its store (``/store/...``), and bytes of content sent."""

    method: str
    path: str
    range: str | None
    login: str | None
    sent: int = 0


class Hub:
    """Files by ``owner/name/revision/path``, and everything that was asked."""

    def __init__(self, port: int) -> None:
        self.files: dict[str, HubFile] = {}
        self.requests: list[Request] = []
        self.address = f"http://127.0.0.1:{port}"
        # Another name of the same machine: like the Hub's, the store is a host that no login may be sent to.
        self.store = f"http://localhost:{port}/store"

    def add(self, repository: str, name: str, file: HubFile, revision: str = COMMIT) -> HubFile:
        self.files[f"{repository}/{revision}/{name}"] = file
        return file

    def asked(self, method: str, start: str = "") -> list[Request]:
        """Requests with this method, of paths that begin so; the library's own questions left out."""
        return [r for r in self.requests if r.method == method and r.path.startswith(start) and "/api/" not in r.path]


@contextmanager
def hub_server() -> Iterator[Hub]:
    """A running hub, gone at the end of the block."""
    hub: Hub

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(send_headers)

        def do_GET(self) -> None:
            self._answer(send_store if self.path.startswith("/store/") else send_headers)

        def _answer(self, send: Callable[[Handler, HubFile, Request], None]) -> None:
            asked = self.headers.get("Range"), self.headers.get("Authorization")
            request = Request(self.command, self.path, *asked)
            hub.requests.append(request)
            self.close_connection = True
            file = hub.files.get(self.path.removeprefix("/store/").lstrip("/").replace("/resolve/", "/"))
            with contextlib.suppress(OSError):  # the client may have gone
                if file is None:
                    finish(self, 404, {})
                else:
                    send(self, file, request)

        def log_message(self, format: str, *args: object) -> None:
            pass

    def finish(handler: Handler, status: int, headers: dict[str, str], length: int = 0) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(length), "Connection": "close", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()

    def send_headers(handler: Handler, file: HubFile, request: Request) -> None:
        if file.stall is not None and file.stalls_after < 0:
            file.stall.wait(30)
        if file.status != 200:
            finish(handler, file.status, {})
            return
        claimed = file.body if file.claimed is None else file.claimed
        path = handler.path.lstrip("/").replace("/resolve/", "/")
        headers = {
            "Location": f"{hub.store}/{path}",
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(claimed)),
            "X-Linked-Etag": f'"{hashlib.sha256(claimed).hexdigest()}"',
        }
        finish(handler, 302, headers)

    def send_store(handler: Handler, file: HubFile, request: Request) -> None:
        asked = request.range if file.ranges else None
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if file.store_status != 200 or start >= len(file.body):
            finish(handler, 416 if file.store_status == 200 else file.store_status, {})
            return
        rest = file.body[start:]
        part = {"Content-Range": f"bytes {start}-{len(file.body) - 1}/{len(file.body)}"} if asked else {}
        end = file.stalls_after if file.stall else file.cuts.pop(0) if file.cuts else len(rest)
        request.sent = len(rest[:end])
        finish(handler, 206 if asked else 200, part, len(rest))
        handler.wfile.write(rest[:end])
        handler.wfile.flush()
        if file.stall is not None:
            file.stall.wait(30)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hub = Hub(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            for file in hub.files.values():
                if file.stall is not None:
                    file.stall.set()
            server.shutdown()
            thread.join()
