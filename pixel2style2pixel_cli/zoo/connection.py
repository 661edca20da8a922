"""One connection that always ends: its name looked up, opened, through a proxy, with TLS, and read within limits."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import queue
import socket
import ssl
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse, LineTooLong, RemoteDisconnected
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from pixel2style2pixel_cli.errors import in_one_line
from pixel2style2pixel_cli.zoo import limits
from pixel2style2pixel_cli.zoo.address import Address, parse_address
from pixel2style2pixel_cli.zoo.limits import Budget, SourceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER = 64 << 10
CUT = "the connection was cut"
TICK = 0.2  # seconds; on Windows a lock that is waited for is deaf to Ctrl-C
# Certificates of the user's own; the second and third are those of requests and curl. Empty is unset.
CERTIFICATE_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
CERTIFICATE_FOLDER = "SSL_CERT_DIR"

T = TypeVar("T")


class Wire(io.RawIOBase):
    """What comes over a connection, counted and timed; SourceError where it is too slow, too much, or broken.

    Until ``begin_body`` the headers are read: they have a time and a number of bytes in which to end.
    """

    def __init__(
        self, connection: socket.socket, silence: float, deadline: float, budget: Budget | None = None
    ) -> None:
        super().__init__()
        self._connection, self._silence, self._deadline, self._budget = connection, silence, deadline, budget
        self._header_left = limits.LIMITS.header_bytes
        self._body, self._waited, self._came = False, 0.0, 0

    def makefile(self, mode: str) -> IO[bytes]:
        """As http.client asks a socket for it."""
        return io.BufferedReader(self, BUFFER)

    def begin_body(self) -> None:
        """From here on the rate counts."""
        self._body = True

    def readable(self) -> bool:
        """It is read from."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """As the interface asks for it; 0 at the end."""
        left = self._silence if self._body else min(self._silence, self._deadline - time.monotonic())
        room = len(memoryview(buffer)) if self._body else min(len(memoryview(buffer)), self._header_left)
        if room == 0:
            raise SourceError("sends headers without end")
        if left <= 0:
            raise SourceError("no answer in time", again=True)
        self._connection.settimeout(left)
        began = time.monotonic()
        with _explained(CUT):
            count = self._connection.recv_into(buffer, room)
        self._count(count, time.monotonic() - began)
        return count

    def _count(self, count: int, waited: float) -> None:
        if self._budget is not None:
            self._budget.take(count)
        if not self._body:
            self._header_left -= count
            return
        # Only what we wait for counts: a slow disk, or a laptop that slept, is not the server's fault.
        self._came, self._waited = self._came + count, self._waited + waited
        if self._waited >= limits.LIMITS.window:
            if self._came < limits.LIMITS.least_rate * self._waited:
                raise SourceError(f"is too slow ({self._came / self._waited:.0f} bytes a second)")
            self._came, self._waited = 0, 0.0


@contextlib.contextmanager
def connected(address: Address, silence: float, deadline: float) -> Iterator[tuple[socket.socket, str]]:
    """An open connection for requests to ``address``, closed afterwards, and what such a request has to begin with.

    That is the target, or the whole address where a proxy for http is asked, with the headers meant for that proxy.
    """
    deadline = min(deadline, time.monotonic() + max(limits.LIMITS.connect, silence))
    proxy = _proxy_for(address)
    secure = address.scheme == "https"
    to, headers = (address, "") if proxy is None else proxy
    context = _certificates() if secure else None  # wrong settings are said before anybody is asked
    with contextlib.ExitStack() as opened:
        connection = opened.enter_context(_dial(to, deadline))
        if proxy is not None and secure:
            _tunnel(connection, address, headers, deadline)
        if context is not None:
            connection = opened.enter_context(_with_tls(connection, context, address, deadline))
        direct = proxy is None or secure
        yield connection, f"{address.target if direct else address.text} HTTP/1.1\r\n{'' if direct else headers}"


def read_head(wire: Wire, method: str) -> tuple[HTTPResponse, IO[bytes]]:
    """Status and headers of the answer that comes next, and the stream its body follows in."""
    stream = wire.makefile("rb")
    response = HTTPResponse(_Given(stream), method=method)  # type: ignore[arg-type]
    try:
        response.begin()
    except RemoteDisconnected as error:
        raise SourceError("closed the connection without an answer", again=True) from error
    except (HTTPException, ValueError) as error:
        if isinstance(error, LineTooLong) or "more than" in str(error):  # it takes 100 headers of 64 kB
            raise SourceError("sends headers without end") from error
        raise SourceError("does not answer as a web server does") from error
    return response, stream


class _Given:
    """A stream in place of the socket from which http.client would make one."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def makefile(self, mode: str) -> IO[bytes]:
        return self._stream


def _dial(address: Address, deadline: float) -> socket.socket:
    """A connection to the first of the host's numbers that takes one."""

    def look_up() -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        return [(row[0], row[4]) for row in found]  # type: ignore[misc]

    with _explained("the connection failed"):
        numbers = _in_time(look_up, deadline)
    problem = SourceError(f"the name {address.host} has no number")
    for index, (family, number) in enumerate(numbers):
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            # a number that is dead must leave some time for the others
            connection.settimeout(max(0.01, (deadline - time.monotonic()) / (len(numbers) - index)))
            with _explained("the connection failed"):
                connection.connect(number)
            return connection
        except SourceError as error:
            problem = error
            connection.close()
        except BaseException:
            connection.close()
            raise
    raise problem


def _in_time(work: Callable[[], T], deadline: float) -> T:
    """The value of a call that nothing can interrupt, made in a thread which is left behind when time is up."""
    results: queue.SimpleQueue[T | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put(work())
        except BaseException as error:
            results.put(error)

    threading.Thread(target=run, daemon=True).start()
    while True:
        with contextlib.suppress(queue.Empty):
            result = results.get(timeout=TICK)
            if isinstance(result, BaseException):
                raise result
            return result
        if time.monotonic() > deadline:
            raise TimeoutError


def _with_tls(connection: socket.socket, context: ssl.SSLContext, address: Address, deadline: float) -> ssl.SSLSocket:
    connection.settimeout(max(0.01, deadline - time.monotonic()))
    with _explained("no TLS connection"):
        return context.wrap_socket(connection, server_hostname=address.host.rstrip("."))


def _certificates() -> ssl.SSLContext:
    """Whom to believe: the user's own file or folder, or else what the system believes."""
    file = next((name for name in CERTIFICATE_FILES if os.environ.get(name)), None)
    name = file or (CERTIFICATE_FOLDER if os.environ.get(CERTIFICATE_FOLDER) else None)
    if name is not None:
        path = Path(os.environ[name])
        try:
            if path.is_dir():
                return ssl.create_default_context(capath=str(path))
            return ssl.create_default_context(cafile=str(path))
        except OSError as error:  # ssl.SSLError is one
            problem = "has no certificates in it" if isinstance(error, ssl.SSLError) else error.strerror
            raise SourceError(f"{name} is {in_one_line(path)}: {problem}; correct or unset it") from error
    if sys.platform in ("darwin", "win32"):
        with contextlib.suppress(ImportError):  # comes with huggingface_hub's HTTP library
            context: ssl.SSLContext = import_module("truststore").SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return context
    paths = ssl.get_default_verify_paths()
    context = ssl.create_default_context()
    if paths.cafile is None and paths.capath is None and not context.cert_store_stats()["x509_ca"]:
        with contextlib.suppress(ImportError):  # the same, of earlier versions
            context.load_verify_locations(cafile=import_module("certifi").where())
    return context


def _proxy_for(address: Address) -> tuple[Address, str] | None:
    """The proxy that the environment or the system names for an address, and the header with its login."""
    try:
        proxies = urllib.request.getproxies()
        bypassed = bool(urllib.request.proxy_bypass(f"{address.host}:{address.port}"))
    except (ValueError, OSError) as error:
        raise SourceError(f"the settings of the proxy cannot be read: {in_one_line(error)}") from error
    key = next((key for key in (address.scheme, "all") if proxies.get(key)), None)
    if key is None or bypassed:
        return None
    name = next((n for n in (f"{key}_proxy", f"{key.upper()}_PROXY") if os.environ.get(n)), f"the {key} proxy")
    text = proxies[key]
    text = text if "://" in text else f"http://{text}"
    scheme, _, rest = text.partition("://")
    # its login is nobody's business who reads the message
    shown = f"{scheme}://{rest.rpartition('@')[2]}"[:100]
    if scheme.lower() != "http":
        raise SourceError(f"{name} is {in_one_line(shown)}, expected a proxy at http://; correct or unset it")
    try:
        parts = urlsplit(text)
        proxy = parse_address(f"http://{parts.netloc.rpartition('@')[2]}")
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if "@" in parts.netloc else None
    except (ValueError, SourceError) as error:
        raise SourceError(f"{name} is {in_one_line(shown)}, which is no address; correct or unset it") from error
    header = f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}\r\n" if login else ""
    return proxy, header


def _tunnel(connection: socket.socket, address: Address, headers: str, deadline: float) -> None:
    """Let the proxy connect us to the host; what follows is between that host and us."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    request = f"CONNECT {host}:{address.port} HTTP/1.1\r\nHost: {host}:{address.port}\r\n{headers}\r\n"
    send(connection, request, limits.LIMITS.silence)
    response, _ = read_head(Wire(connection, limits.LIMITS.silence, deadline), "CONNECT")
    if response.status != 200:
        raise SourceError(f"the proxy refuses ({response.status})")


def send(connection: socket.socket, request: str, silence: float) -> None:
    """Send the whole request."""
    connection.settimeout(silence)
    with _explained(CUT):
        connection.sendall(request.encode("ascii"))


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    """What the operating system and TLS say against a connection, as SourceError in a few words."""
    try:
        yield
    except SourceError:
        raise
    except TimeoutError as error:
        # a machine that takes no connection will not take the next one either
        raise SourceError("no answer in time", again=what == CUT) from error
    except ssl.SSLCertVerificationError as error:
        raise SourceError(f"its certificate is not valid: {in_one_line(error.verify_message)}") from error
    except ssl.SSLError as error:
        reason = in_one_line(error.reason or error).replace("_", " ").lower()
        raise SourceError(f"{what} ({reason})", again=what == CUT) from error
    except socket.gaierror as error:
        again = error.errno == socket.EAI_AGAIN
        raise SourceError("the name of its host is not found", again=again) from error
    except (OSError, ValueError) as error:  # ValueError: names that the resolver does not take
        reason = in_one_line(getattr(error, "strerror", None) or error) or type(error).__name__
        raise SourceError(f"{what} ({reason})", again=what == CUT) from error
