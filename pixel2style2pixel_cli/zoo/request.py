"""One question to a server and its answer: redirects followed, the login kept to its host, lengths believed or not."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPMessage
from typing import IO

from pixel2style2pixel_cli.version import __version__
from pixel2style2pixel_cli.wording import duration
from pixel2style2pixel_cli.zoo import limits
from pixel2style2pixel_cli.zoo.address import Address, parse_address
from pixel2style2pixel_cli.zoo.connection import Wire, connected, read_head, send
from pixel2style2pixel_cli.zoo.limits import Budget, SourceError, retry_after, silence_of

PIECE = 64 << 10
REDIRECTS = (301, 302, 303, 307, 308)
LENGTH = re.compile(r"[0-9]{1,15}")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(;[^\r\n]*)?\r?\n")
LONGEST_LINE = 4096  # of a chunk's size with its extensions
STATUS = {
    401: "needs a login (401)",
    403: "refuses access (403)",
    404: "not found (404)",
    408: "no answer in time (408)",
    410: "not there any more (410)",
    416: "has fewer bytes than another source sent (416)",
    429: "too many requests (429)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A final answer: its status, its headers, and its body as it comes."""

    status: int
    headers: HTTPMessage
    stream: IO[bytes]

    @property
    def length(self) -> int | None:
        """Bytes that the body is to have; SourceError where two lengths are said, or none that is a number."""
        return length_of(self.headers, "Content-Length")

    def pieces(self) -> Iterator[bytes]:
        """The body, piece by piece as it arrives; ends early where the connection does, SourceError on garbage."""
        coding = [value.strip().lower() for value in self.headers.get_all("Transfer-Encoding", [])]
        if coding == ["chunked"]:
            yield from self._chunks()
        elif coding:
            raise SourceError("sends the file in a coding that was not asked for")
        else:
            length = self.length
            if length != 0:  # http.client has closed a body of no bytes
                yield from self._run(length)

    def _chunks(self) -> Iterator[bytes]:
        while line := self.stream.readline(LONGEST_LINE):
            size = CHUNK.fullmatch(line)
            if size is None:
                raise SourceError("sends garbage between the pieces of the file", wrong=True)
            count = int(size[1], 16)
            if count == 0:
                return  # what may follow are headers that nobody needs, and the connection is used once
            yield from self._run(count)
            if self.stream.readline(3) not in (b"\r\n", b"\n", b""):
                raise SourceError("sends garbage between the pieces of the file", wrong=True)

    def _run(self, count: int | None) -> Iterator[bytes]:
        left = PIECE if count is None else count
        # read1 gives what is there: a piece that is waited for would be lost when the connection breaks
        while left and (piece := self.stream.read1(min(left, PIECE))):  # type: ignore[attr-defined]
            yield piece
            left = PIECE if count is None else left - len(piece)


def length_of(headers: HTTPMessage, name: str) -> int | None:
    """A header that counts bytes, None where there is none; SourceError unless all of that name say one number."""
    values = sorted({value.strip() for value in headers.get_all(name, [])})
    if not values:
        return None
    if len(values) > 1 or not LENGTH.fullmatch(values[0]):
        raise SourceError(f"says no sound length of the file ({name})")
    return int(values[0])


@contextlib.contextmanager
def asked(
    method: str, address: Address, *, start: int = 0, login: str | None = None, budget: Budget | None = None
) -> Iterator[Answer]:
    """Ask for what is at ``address``, from byte ``start`` on; the answer lives until the end of the block.

    ``login`` is the value of ``Authorization``: it goes to the scheme, host and port of ``address`` alone. Redirects
    are followed; with HEAD only on that host, because another would speak of its copy and not of the file. SourceError
    where the last answer is an error.
    """
    silence, first = silence_of(method), address
    deadline = time.monotonic() + max(limits.LIMITS.headers, silence)  # of the last headers, through all redirects
    for _ in range(limits.LIMITS.redirects + 1):
        with contextlib.ExitStack() as opened:
            connection, head = opened.enter_context(connected(address, silence, deadline))
            request = f"{method} {head}{_headers(address, start, login)}"
            send(connection, request, silence)
            wire = Wire(connection, silence, deadline, budget)
            response, stream = read_head(wire, method)
            opened.callback(response.close)
            target = None
            if response.status in REDIRECTS:
                target = _target(response.headers, address)
                if method == "HEAD" and target.origin != first.origin:
                    target = None
            elif response.status not in (200, 206):
                raise _refusal(response.status, response.headers)
            if target is None:
                wire.begin_body()
                yield Answer(status=response.status, headers=response.headers, stream=stream)
                return
            if target.origin != address.origin:
                login = None  # for good, wherever it leads from there
            address = target
    raise SourceError(f"redirects more than {limits.LIMITS.redirects} times")


def _headers(address: Address, start: int, login: str | None) -> str:
    """The headers of a request, up to the empty line."""
    headers = {
        "Host": address.netloc,
        "User-Agent": f"pixel2style2pixel-cli/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",  # a packed file could not be continued
        "Connection": "close",
        **({"Range": f"bytes={start}-"} if start else {}),
        **({"Authorization": login} if login else {}),
    }
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"


def _target(headers: HTTPMessage, address: Address) -> Address:
    location = headers.get("Location")
    if not location:
        raise SourceError("redirects to nowhere")
    return parse_address(location, address)


def _refusal(status: int, headers: HTTPMessage) -> SourceError:
    """What an error of the server means, and whether asking again may help."""
    reason = STATUS.get(status, f"the server failed ({status})" if status >= 500 else f"answers with status {status}")
    again = status in (408, 425, 429) or status >= 500
    wait = retry_after(headers.get("Retry-After")) if again else None
    if wait is not None and wait > limits.LIMITS.longest_wait:
        # Asking earlier would be refused again, and nobody wants to sit and watch an hour go by.
        when = f"for {duration(wait)}" if wait < 1e6 else "without end"
        return SourceError(f"{reason}, and asks to stay away {when}")
    return SourceError(reason, again=again, wait=wait)
