"""Everything that a server, a proxy, an address or a setting may do wrong to a download, by name."""

from __future__ import annotations

import email.utils
import gzip
import itertools
import time
import zlib
from collections.abc import Callable

from fault_server import FILE, Answer, Fault, Talk

ENDLESS = 1 << 31  # bytes; nobody reads them all


def says(status: int | str, *lines: str, body: bytes = b"") -> Answer:
    """One answer, whatever is asked."""
    return in_turn(lambda talk: talk.head(status, *lines), sends(body))


def in_turn(*answers: Answer) -> Answer:
    """One after the other, on one connection."""
    return lambda talk: [answer(talk) for answer in answers]


def sends(*parts: bytes) -> Answer:
    """Bytes that may be no answer at all."""
    return lambda talk: talk.send(*parts)


def first(fault: Answer, turns: int = 1) -> Answer:
    """The fault in the first answers, then none."""
    return lambda talk: fault(talk) if talk.turn <= turns else talk.good()


def body(make: Callable[[bytes], bytes], *lines: str) -> Answer:
    """An answer of status 200 with a body made of the right one, and its length."""

    def answer(talk: Talk) -> None:
        data = make(talk.data)
        talk.head(200, f"Content-Length: {len(data)}", *lines)
        talk.send(data)

    return answer


def right(*lines: str, cut: float = 1.0) -> Answer:
    """The right body, or a beginning of it, behind these headers; {n} in them is its length."""

    def answer(talk: Talk) -> None:
        talk.head(200, *(line.format(n=len(talk.data)) for line in lines))
        talk.send(talk.data[: int(cut * len(talk.data))])

    return answer


def chunked(make: Callable[[bytes], bytes], *lines: str) -> Answer:
    """The right body behind ``Transfer-Encoding: chunked``, as ``make`` writes its chunks."""
    return in_turn(says(200, "Transfer-Encoding: chunked", *lines), lambda talk: talk.send(make(talk.data)))


def chunks(data: bytes, size: int = 50_000, extension: bytes = b"") -> bytes:
    """Chunks as they should be, without the last one."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces)


def to(location: str, status: int = 302) -> Answer:
    """A redirect; names in braces are the server's."""
    return lambda talk: talk.head(
        status, "Location: " + location.format(turn=talk.turn, **talk.server.names), "Content-Length: 0"
    )


def part(make: Callable[[int, int], tuple[str, int]]) -> Answer:
    """An answer of status 206: ``make`` gets where it should begin and the size, and gives its header and its place."""

    def answer(talk: Talk) -> None:
        header, start = make(talk.request.start, len(talk.data))
        talk.head(206, f"Content-Length: {len(talk.data) - start}", *([header] if header else []))
        talk.send(talk.data[start:])

    return answer


def endless(piece: bytes) -> Answer:
    """The same again until the client has gone."""
    block = piece * (16384 // len(piece) + 1)

    def answer(talk: Talk) -> None:
        for _ in range(ENDLESS // len(block)):
            talk.send(block)

    return answer


def date_in(seconds: float) -> str:
    """A date of HTTP, counted from now on."""
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def silent(talk: Talk) -> None:
    """Say nothing more."""
    talk.wait()


def then_silent(answer: Answer) -> Answer:
    """Answer, and keep the connection open."""
    return in_turn(answer, silent)


def half_once(talk: Talk) -> None:
    """The first answer breaks off in the middle."""
    talk.good(most=len(talk.data) // 2 if talk.turn == 1 else None)


def rude_once(talk: Talk) -> None:
    """The first answer breaks off in the middle, with a reset."""
    if talk.turn == 1:
        talk.good(most=len(talk.data) // 2)
        talk.reset()
    else:
        talk.good()


def small_parts(talk: Talk) -> None:
    """No more than an eighth of the file at once, and said so."""
    talk.good(end=min(len(talk.data), talk.request.start + len(talk.data) // 8))


def other_rest(talk: Talk) -> None:
    """The whole file is right, and the rest of it is not."""
    start, size = talk.request.start, len(talk.data)
    if start:
        talk.head(206, f"Content-Range: bytes {start}-{size - 1}/{size}")
        talk.send(bytes(size - start))
    else:
        talk.good()


def ranges_and_cuts(talk: Talk) -> None:
    """All of it from the beginning, and never more than 60 per cent."""
    talk.good(ranges=False, most=int(0.6 * len(talk.data)))


NAMED = f"/{FILE}"
PAGE = b"<!DOCTYPE html><html><title>Quota exceeded</title></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
TLS = {"SSL_CERT_FILE": "{certificate}"}


def half(data: bytes) -> bytes:
    """The first half, as an earlier call may have left it."""
    return data[: len(data) // 2]


def statuses() -> dict[str, Fault]:
    """Answers that refuse, and answers with waits."""
    numbers = (201, 202, 204, 205, 226, 300, 304, 305, 400, 401, 402, 403, 404, 405, 407, 408, 409, 410, 413, 414, 416,
               418, 421, 425, 428, 429, 431, 451, 500, 501, 502, 503, 504, 507, 520, 599, 999)  # fmt: skip
    rows = {f"status {n}": Fault(kind="status", answer=says(n, "Content-Length: 0")) for n in numbers}
    rows |= {
        f"status {n} once": Fault(kind="status", answer=first(says(n, "Content-Length: 0")), survives=True)
        for n in (408, 429, 500, 502, 503, 504)
    }
    rows["status 404 with an endless page"] = Fault(kind="status", answer=in_turn(says(404), endless(b"<p>" * 1000)))
    rows["status 401 of the Hub"] = Fault(kind="status", answer=says(401, "Content-Length: 0"), place="head")
    waits = {
        "0": True, "1": True, "  1  ": True, "3600": False, "9" * 30: False, "1e309": True,
        "-5": True, "nan": True, "soon": True, "1.5": True, "٣": True, "Fri, 99 Foo 2026 99:99:99 GMT": True,
        "Mon, 01 Jan 99999 00:00:00 GMT": True, "Fri, 31 Dec 9999 23:59:59 GMT": False,
        "Mon, 01 Jan 2001 00:00:00 GMT": True, "Mon, 01 Jan 0001 00:00:00 -2359": True,
    }  # fmt: skip
    texts = {text[:40]: (text, survives) for text, survives in waits.items()}
    texts |= {"a date of tomorrow": (date_in(86400), False), "5,000 digits": ("9" * 5000, False)}
    for (name, (text, survives)), status in zip(texts.items(), itertools.cycle((429, 503)), strict=False):
        answer = first(says(status, f"Retry-After: {text.encode().decode('latin-1')}", "Content-Length: 0"))
        rows[f"Retry-After: {name}"] = Fault(kind="waits", answer=answer, survives=survives)
    rows["Retry-After: a date of now"] = Fault(
        kind="waits", survives=True,
        answer=first(lambda talk: talk.head(503, f"Retry-After: {date_in(1)}", "Content-Length: 0")),
    )  # fmt: skip
    rows["Retry-After: 1, for ever"] = Fault(kind="waits", answer=says(429, "Retry-After: 1", "Content-Length: 0"))
    return rows


def lengths() -> dict[str, Fault]:
    """Cuts, lengths and chunks."""
    n = "Content-Length: {n}"
    cuts: dict[str, tuple[Answer, bool]] = {
        "closed without an answer": (lambda talk: None, False),
        "closed without an answer once": (first(lambda talk: None), True),
        "reset without an answer": (lambda talk: talk.reset(), False),
        "cut in the status line": (sends(b"HTTP/1.1 2"), False),
        "cut in the headers": (sends(b"HTTP/1.1 200 OK\r\nContent-Le"), False),
        "cut behind the headers": (right(n, cut=0), False),
        "cut in the middle once": (half_once, True),
        "reset in the middle once": (rude_once, True),
        "always cut after a byte": (lambda talk: talk.good(most=1), False),
        "always cut after a tenth": (lambda talk: talk.good(most=len(talk.data) // 10), True),
        "always cut before the last byte": (lambda talk: talk.good(most=len(talk.data) - 1), True),
        "ranges ignored and always cut": (ranges_and_cuts, False),
        "ranges ignored and cut once": (
            lambda talk: talk.good(ranges=False, most=1000 if talk.turn == 1 else None), True,
        ),
    }  # fmt: skip
    rows = {name: Fault(kind="cut", answer=answer, survives=good) for name, (answer, good) in cuts.items()}
    said: dict[str, tuple[Answer, bool]] = {
        "length too small": (body(lambda data: data[:-100]), False),
        "length too large": (body(lambda data: data + bytes(100)), False),
        "length right, more sent": (in_turn(right(n), sends(bytes(5000))), True),
        "length of 10^14": (right("Content-Length: 1" + "0" * 14), False),
        "length of 5,000 digits": (right("Content-Length: " + "9" * 5000), False),
        "length negative": (right("Content-Length: -5"), False),
        "length in words": (right("Content-Length: many"), False),
        "length in hex": (right("Content-Length: 0x10"), False),
        "length with a sign": (right("Content-Length: +{n}"), False),
        "length with underscores": (right("Content-Length: 1_0"), False),
        "length empty": (right("Content-Length:"), False),
        "length 0": (right("Content-Length: 0", cut=0), False),
        "two lengths": (right(n, "Content-Length: 5"), False),
        "one length twice": (right(n, n), True),
        "no length": (right("X: y"), True),
        "no length, and cut": (right("X: y", cut=0.5), False),
        "no length, and without end": (in_turn(says(200), endless(bytes(4096))), False),
    }
    rows |= {name: Fault(kind="length", answer=answer, survives=good) for name, (answer, good) in said.items()}
    end = b"0\r\n\r\n"
    pieces: dict[str, tuple[Answer, bool]] = {
        "chunks as they should be": (chunked(lambda data: chunks(data) + end), True),
        "chunks without the last": (chunked(chunks), True),
        "chunks with extensions": (chunked(lambda data: chunks(data, extension=b";a=b") + end), True),
        "chunks cut once": (first(chunked(lambda data: chunks(data)[:200_000])), True),
        "chunk size no number": (chunked(lambda data: b"zz\r\n" + data), False),
        "chunk size negative": (chunked(lambda data: b"-5\r\n" + data), False),
        "chunk size of 40 digits": (chunked(lambda data: b"F" * 40 + b"\r\n" + data), False),
        "chunk size larger than the body": (chunked(lambda data: b"FFFFFFFFFF\r\n" + data[:-9]), False),
        "chunk without its end": (chunked(lambda data: b"10\r\n" + data), False),
        "chunk extension without end": (in_turn(chunked(lambda d: b"5;"), endless(b"x" * 999)), False),
        "chunks of a byte with long extensions": (
            in_turn(chunked(lambda data: b""), endless(b"1;" + b"x" * 4000 + b"\r\nA\r\n")),
            False,
        ),
        "chunks without end": (in_turn(chunked(chunks), endless(chunks(bytes(999)))), False),
        "chunk trailers without end": (
            in_turn(chunked(lambda data: chunks(data) + b"0\r\n"), endless(b"A: b\r\n")),
            True,
        ),
        "chunks and a length": (chunked(lambda data: chunks(data) + end, "Content-Length: 5"), False),
        "coding gzip, chunked": (right("Transfer-Encoding: gzip, chunked"), False),
        "coding chunked twice": (right("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), False),
    }
    return rows | {name: Fault(kind="chunks", answer=answer, survives=good) for name, (answer, good) in pieces.items()}


def parts_and_content() -> dict[str, Fault]:
    """Ranges, with something left by an earlier call, and bodies that are something else."""
    asked: dict[str, tuple[Answer, bool]] = {
        "range obeyed": (lambda talk: talk.good(), True),
        "range ignored": (lambda talk: talk.good(ranges=False), True),
        "range ignored and another file": (body(lambda data: bytes(len(data))), False),
        "range always beyond the end (416)": (says(416, "Content-Length: 0"), False),
        "small ranges": (small_parts, True),
        "range without saying which": (part(lambda start, n: ("", start)), False),
        "range with another beginning": (part(lambda start, n: (f"Content-Range: bytes 7-{n - 1}/{n}", 7)), False),
        "range of a longer file": (
            part(lambda start, n: (f"Content-Range: bytes {start}-{n - 1}/{n + 1}", start)),
            False,
        ),
        "range beyond the end": (part(lambda start, n: (f"Content-Range: bytes {start}-{n + 5}/{n}", start)), False),
        "range that ends before it begins": (
            part(lambda start, n: (f"Content-Range: bytes {start}-0/{n}", start)),
            False,
        ),
        "range without a total": (part(lambda start, n: (f"Content-Range: bytes {start}-{n - 1}/*", start)), True),
        "range of another length": (part(lambda start, n: (f"Content-Range: bytes {start}-{n - 2}/{n}", start)), False),
        "range in words": (part(lambda start, n: ("Content-Range: the rest", start)), False),
        "range of 5,000 digits": (
            part(lambda start, n: (f"Content-Range: bytes {start}-{'9' * 5000}/{n}", start)),
            False,
        ),
        "ranges in several parts": (says(206, "Content-Type: multipart/byteranges; boundary=x", body=b"--x--"), False),
        "other bytes in the rest": (other_rest, True),
    }
    rows = {
        name: Fault(kind="ranges", answer=answer, survives=good, before=half) for name, (answer, good) in asked.items()
    }
    for name, left in {
        "damaged": lambda data: bytes(len(data) // 2), "too long": lambda data: data + b"x",
        "whole": lambda data: data, "whole and damaged": lambda data: bytes(len(data)), "empty": lambda data: b"",
    }.items():  # fmt: skip
        rows[f"an earlier part that is {name}"] = Fault(
            kind="ranges", answer=lambda talk: talk.good(), survives=True, before=left
        )
    rows["a range nobody asked for"] = Fault(
        kind="ranges", answer=part(lambda start, n: (f"Content-Range: bytes 5-{n - 1}/{n}", 5))
    )
    contents: dict[str, tuple[Answer, bool]] = {
        "a web page": (body(lambda data: PAGE), False),
        "a web page of the right length": (body(lambda data: PAGE.ljust(len(data))), False),
        "a web page behind spaces": (body(lambda data: (b"\xef\xbb\xbf \n" + PAGE).ljust(len(data))), False),
        "a web page in chunks": (chunked(lambda data: chunks(PAGE, 1) + b"0\r\n\r\n"), False),
        "a pointer of Git LFS": (body(lambda data: POINTER), False),
        "a pointer, byte by byte": (chunked(lambda data: chunks(POINTER, 1) + b"0\r\n\r\n"), False),
        "an error in JSON": (body(lambda data: b'{"error": "quota"}'), False),
        "an error in XML": (body(lambda data: b'<?xml version="1.0"?><Error/>'), False),
        "zeros": (body(lambda data: bytes(len(data))), False),
        "one bit is another": (body(lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]), False),
        "another file, always cut": (in_turn(right("Content-Length: {n}", cut=0), sends(bytes(9999))), False),
        "half of it is another": (body(lambda data: half(data) + bytes(len(data) - len(half(data)))), False),
        "packed by gzip": (body(gzip.compress, "Content-Encoding: gzip"), False),
        "packed by gzip, not said": (body(gzip.compress), False),
        "packed by deflate": (body(zlib.compress, "Content-Encoding: deflate"), False),
        "packed by br": (body(lambda data: data, "Content-Encoding: br"), False),
        "packed by nothing": (body(lambda data: data, "Content-Encoding: identity"), True),
        "a bomb of gzip": (body(lambda data: gzip.compress(bytes(10**7)), "Content-Encoding: gzip"), False),
    }
    return rows | {
        name: Fault(kind="content", answer=answer, survives=good) for name, (answer, good) in contents.items()
    }
