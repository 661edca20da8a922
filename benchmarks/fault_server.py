"""A server on the loopback address that answers as a named fault says: a Hub, its store or a proxy, also with TLS.

Paths of a source ``owner/repo`` are those of the Hugging Face Hub. Its headers are sound and lead to the store, which
is another host (``localhost``); the fault says which of the two has it. Paths with ``/good/`` have none. The keys and
certificates are for this server alone and vouch for nobody (made by ``openssl ca -selfsign``).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILE = "w.pt"
SERVER_SECONDS = 20.0  # after which a server that nobody talks to gives up
SEND_BUFFER = 16 << 10  # small, so that what was sent is about what was read
GOOD = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIEX8Wfv5zMJ8pFeZ/4Tz7TFO6//kwzQ+3CzrfYtneaDEoAoGCCqGSM49
AwEHoUQDQgAEbZIH5ZZu8Znv0s/Uc1qHmfS7TljE3LMmyjlyToc4UsWCJGDluMQn
u/+THO8T0ea2Qu3f6XFj5ncuDyqZhLhV1A==
-----END EC PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBZDCCAQugAwIBAgICFmgwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxo
b3N0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAUMRIwEAYDVQQD
DAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARtkgfllm7xme/S
z9RzWoeZ9LtOWMTcsybKOXJOhzhSxYIkYOW4xCe7/5Mc7xPR5rZC7d/pcWPmdy4P
KpmEuFXUo0swSTAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwDAYDVR0TBAUw
AwEB/zAdBgNVHQ4EFgQUA8xBXuD8x8FMXi0nCHjLC5iLoogwCgYIKoZIzj0EAwID
RwAwRAIgWt2CMh/X48d8qHexLEQoEaeWDjUr3/il+VJiVEnFln0CIDp0LCJx4TMr
FlAylSQUa24745g7223kwWE9/YurOdBl
-----END CERTIFICATE-----
"""
OTHER_HOST = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIJVQ1PL7Bts0gAWw2MlfOhZYubxN3Zh/rxUMVcI8cMg3oAoGCCqGSM49
AwEHoUQDQgAEbPUfpy9mIOucDezdQnXrto99iL58qBAfD6vct1L9seN23dCbdvZ1
wUe9cKBY30WUUvjS98ZdwrgkveuISV8uNQ==
-----END EC PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBbDCCARGgAwIBAgICZxgwCgYIKoZIzj0EAwIwGDEWMBQGA1UEAwwNb3RoZXIu
ZXhhbXBsZTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowGDEWMBQG
A1UEAwwNb3RoZXIuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGz1
H6cvZiDrnA3s3UJ167aPfYi+fKgQHw+r3LdS/bHjdt3Qm3b2dcFHvXCgWN9FlFL4
0vfGXcK4JL3riElfLjWjSTBHMBgGA1UdEQQRMA+CDW90aGVyLmV4YW1wbGUwDAYD
VR0TBAUwAwEB/zAdBgNVHQ4EFgQUDi2cKARj7AedcHbszbRYSnspwiowCgYIKoZI
zj0EAwIDSQAwRgIhAOlry+g1rgvWD4DRh5Gxs2RsCM4fXSCg+rXd+poPDjP9AiEA
l3vy0e2i7aIpS3wJC4eaMrbNhoWP75L/6akhPqUxYDw=
-----END CERTIFICATE-----
"""
OF_THE_PAST = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIKmtx1UZFAetWm01eq1IJad0ObAXIhCgVMhhXLOA1LvgoAoGCCqGSM49
AwEHoUQDQgAEHBr5yhQOqthogyPncmKKBmXHQzCP1cTq9Mmj7EQcp4mhYIFfa8jO
JahksIH+RfbjPrcX5aR7dgUChfMRIjjbsw==
-----END EC PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBYTCCAQigAwIBAgIBGjAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwHhcNMjAwMTAxMDAwMDAwWhcNMjAwMjAxMDAwMDAwWjAUMRIwEAYDVQQDDAls
b2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQcGvnKFA6q2GiDI+dy
YooGZcdDMI/VxOr0yaPsRByniaFggV9ryM4lqGSwgf5F9uM+txflpHt2BQKF8xEi
ONuzo0swSTAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwDAYDVR0TBAUwAwEB
/zAdBgNVHQ4EFgQUW9T/0x2fGvX5urG9RRiomEZsVRcwCgYIKoZIzj0EAwIDRwAw
RAIgWEQ9EiaWwflYTNyX94N8CM4snfLbNvxAu3rj4DE4nV4CIH+NFQIUVcy2U7K9
byEcF40IG9Ay+P074lI/u6GVVSMa
-----END CERTIFICATE-----
"""

Place = Literal["store", "hub", "head", "plain", "raw"]


@dataclass
class Request:
    """What was asked: the authority is the origin that the client believes it talks to."""

    method: str
    path: str
    host: str
    start: int
    login: str | None
    proxy_login: str | None = None
    tls: bool = False


class Talk:
    """One connection, with what was asked on it and what can be answered."""

    def __init__(self, connection: socket.socket, server: FaultServer, request: Request, turn: int) -> None:
        self.connection, self.server, self.request, self.turn = connection, server, request, turn

    @property
    def data(self) -> bytes:
        """The whole right file."""
        return self.server.data

    def send(self, *parts: bytes | str) -> None:
        """Send everything."""
        for part in parts:
            data = part.encode("latin-1") if isinstance(part, str) else part
            for at in range(0, len(data), SEND_BUFFER):
                self.connection.sendall(data[at : at + SEND_BUFFER])
                self.server.sent += len(data[at : at + SEND_BUFFER])

    def head(self, status: int | str, *lines: str) -> None:
        """Status line and headers, up to the empty line."""
        self.send(f"HTTP/1.1 {status} x\r\n", *(f"{line}\r\n" for line in lines), "\r\n")

    def good(self, *, ranges: bool = True, end: int | None = None, most: int | None = None) -> None:
        """The right answer, of which no more than ``most`` bytes are sent before the connection ends."""
        start = self.request.start if ranges else 0
        end = len(self.data) if end is None else end
        if start >= len(self.data):
            self.head(416, "Content-Length: 0")
            return
        part = [f"Content-Range: bytes {start}-{end - 1}/{len(self.data)}"] if ranges and self.request.start else []
        self.head(206 if part else 200, f"Content-Length: {end - start}", *part)
        body = self.data[start:end]
        self.send(body if most is None else body[:most])

    def wait(self, seconds: float = SERVER_SECONDS) -> bool:
        """Be silent; True once the fault is over and the answer should end."""
        return self.server.over.wait(seconds)

    def trickle(self, data: bytes, seconds: float) -> None:
        """A byte at a time."""
        for at in range(len(data)):
            self.send(data[at : at + 1])
            if self.wait(seconds):
                return

    def reset(self) -> None:
        """End the connection the rude way."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Answer = Callable[[Talk], object]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What a server does, where, and what has to come of it.

    ``survives``: the file is fetched all the same. ``address`` is that of a source in the place of the Hub's, and
    ``environment`` what is set, with ``{plain}``, ``{tls}``, ``{closed}`` and others in both. ``before`` is what an
    earlier call has left; ``sized`` is whether the card says how large the file is.
    """

    kind: str
    answer: Answer | None = None
    place: Place = "store"
    survives: bool = False
    address: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    before: Callable[[bytes], bytes] | None = None
    certificate: str = GOOD
    sized: bool = True


class FaultServer:
    """One plain and one TLS port; ``begin`` sets the fault."""

    def __init__(self, data: bytes, folder: Path) -> None:
        self.data, self.over, self.sent = data, threading.Event(), 0
        self.fault, self.requests, self.turns = Fault(kind=""), list[Request](), 0
        self._lock = threading.Lock()
        self._listening = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in range(2)]
        self.port, self.tls_port = (listening.getsockname()[1] for listening in self._listening)
        self.full, self._waiting = full_machine()
        self.certificate = folder / "certificate.pem"
        self.names = {
            "plain": f"http://127.0.0.1:{self.port}", "other": f"http://localhost:{self.port}",
            "port": str(self.port), "tls_port": str(self.tls_port), "tls": f"https://localhost:{self.tls_port}",
            "full": f"http://127.0.0.1:{self.full.getsockname()[1]}",
            "closed_port": str(closed := closed_port()), "closed": f"http://127.0.0.1:{closed}",
            "certificate": str(self.certificate), "file": f"owner/repo/resolve/{COMMIT}/{FILE}",
        }  # fmt: skip

    def begin(self, fault: Fault) -> None:
        """Answer like this from now on."""
        self.over.set()
        self.over, self.fault = threading.Event(), fault
        self.requests, self.turns, self.sent = [], 0, 0
        self.certificate.write_text(fault.certificate, encoding="ascii")
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.certificate)

    def start(self) -> None:
        """Listen on both ports."""
        for tls, listening in enumerate(self._listening):
            threading.Thread(target=self._accept, args=(listening, bool(tls)), daemon=True).start()

    def close(self) -> None:
        """End all answers and stop listening."""
        self.over.set()
        for listening in [*self._listening, self.full, *self._waiting]:
            listening.close()

    def _accept(self, listening: socket.socket, tls: bool) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, tls), daemon=True).start()

    def _serve(self, connection: socket.socket, tls: bool) -> None:
        connection.settimeout(SERVER_SECONDS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as opened:  # the client may go any time
            opened.enter_context(connection)
            if self.fault.place == "raw" and self.fault.answer is not None:
                self.turns += 1
                self.fault.answer(Talk(connection, self, Request("", "", "", 0, None), self.turns))
                return
            if tls:
                connection = opened.enter_context(self.tls.wrap_socket(connection, server_side=True))
            request = read_request(connection, tls)
            if request is not None:
                self._answer(connection, request)

    def _answer(self, connection: socket.socket, request: Request) -> None:
        fault = self.fault
        path = request.path = re.sub("^http://[^/]+", "", request.path)  # a proxy gets the whole address
        with self._lock:
            self.requests.append(request)
            faulty = fault.answer is not None and "/good/" not in path and (
                fault.place == "plain"
                or (fault.place == "head" and request.method == "HEAD")
                or (fault.place == "hub" and request.method == "GET" and path.startswith("/owner/"))
                or (fault.place == "store" and path.startswith("/store/"))
            )  # fmt: skip
            self.turns += faulty
        talk = Talk(connection, self, request, self.turns)
        if faulty and fault.answer is not None:
            fault.answer(talk)
        elif request.method == "HEAD" or path.startswith("/owner/"):
            digest = hashlib.sha256(self.data).hexdigest()
            linked = f"X-Linked-Size: {len(self.data)}", f'X-Linked-Etag: "{digest}"'
            talk.head(302, f"Location: {self.names['other']}/store{path}", *linked, "Content-Length: 0")
        else:
            talk.good()


def read_request(connection: socket.socket, tls: bool) -> Request | None:
    """The request that comes next, None where none does."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    first, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, path, _ = first.split(" ")
    start = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
    login, proxy_login = headers.get("authorization"), headers.get("proxy-authorization")
    return Request(method, path, headers["host"], int(start[1]) if start else 0, login, proxy_login, tls)


def closed_port() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def full_machine() -> tuple[socket.socket, list[socket.socket]]:
    """A port that takes no more connections, and those that wait there."""
    listening, waiting = socket.create_server(("127.0.0.1", 0), backlog=0), []
    for _ in range(3):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(listening.getsockname())
        waiting.append(one)
    return listening, waiting


@contextlib.contextmanager
def fault_server(data: bytes) -> Iterator[FaultServer]:
    """A running server of ``data``, gone at the end of the block."""
    with tempfile.TemporaryDirectory() as folder:
        server = FaultServer(data, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.close()
