"""What a server may cost: waits, bytes, addresses and logins, and that an interruption ends every wait at once."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hub_server import COMMIT, Hub, HubFile, hub_server
from test_zoo_download import DATA, at, fetch, weight

from pixel2style2pixel_cli.errors import IntegrityError, MissingError
from pixel2style2pixel_cli.events import Event, Notice
from pixel2style2pixel_cli.zoo import connection, limits
from pixel2style2pixel_cli.zoo.address import parse_address
from pixel2style2pixel_cli.zoo.cards import Source
from pixel2style2pixel_cli.zoo.limits import Budget, SourceError, pause_before, retry_after


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A home folder, and limits of the test's own."""
    for name in list(os.environ):
        if name.startswith(("P2S2P_", "HF_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))

    def change(**values: float) -> None:
        monkeypatch.setattr(limits, "LIMITS", replace(limits.LIMITS, **values))

    change(pause=0.0)
    return change


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server() as server:
        yield server


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("0", 0, 0), ("120", 120, 120), (" 7 ", 7, 7), ("9" * 12, 1e11, 1e12), ("9" * 13, math.inf, math.inf),
        ("9" * 5000, math.inf, math.inf), ("Mon, 01 Jan 2001 00:00:00 GMT", 0, 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1e10, 1e12), ("Wed, 21 Oct 2150 07:28:00", 1e9, 1e10),
    ],
)  # fmt: skip
def test_a_wait_as_seconds_or_as_a_date(text: str, least: float, most: float) -> None:
    found = retry_after(text)
    assert found is not None and least <= found <= most


def test_a_wait_until_tomorrow() -> None:
    tomorrow = email.utils.formatdate(time.time() + 86400, usegmt=True)
    assert 80000 < (retry_after(tomorrow) or 0) <= 86400


@pytest.mark.parametrize(
    "text",
    [None, "", "soon", "-5", "1.5", "nan", "inf", "1e9", "0x10", "1_0", "٣", "²", "Fri, 99 Foo 2026 99:99:99 GMT",
     "Mon, 01 Jan 99999 00:00:00 GMT", "Mon, 01 Jan 2026 00:00:00 +999999999999"],
)  # fmt: skip
def test_a_wait_that_means_nothing(text: str | None) -> None:
    assert retry_after(text) is None


def test_pauses_grow_to_a_limit_and_are_never_shorter_than_was_asked() -> None:
    first = [pause_before(1, None) for _ in range(50)]
    assert 1.0 <= min(first) < max(first) <= 1.25  # not all at once
    assert 4.0 <= pause_before(3, None) <= 5.0
    assert 10.0 <= pause_before(900, None) <= 12.5
    assert 40.0 <= pause_before(1, 40.0) <= 50.0


def test_a_source_gets_two_copies_and_a_file_four() -> None:
    size = 100_000_000
    budget = Budget(size)
    for _ in range(2):
        budget.begin_source()
        budget.take(2 * size + limits.LIMITS.spare_bytes // 4)
        with pytest.raises(SourceError, match="sent more than 2 times the size of the file"):
            budget.take(1)
    with pytest.raises(SourceError, match="not asked: 4 times the size"):
        budget.begin_source()


def test_a_third_source_has_what_two_left() -> None:
    size = 100_000_000
    budget = Budget(size)
    for _ in range(3):
        budget.begin_source()
        budget.take(size * 4 // 3)
    with pytest.raises(SourceError, match="not asked any more: 4 times the size"):
        budget.take(limits.LIMITS.spare_bytes + 2)


def test_a_size_that_nobody_knew_is_the_source_s_own() -> None:
    budget = Budget(None)
    budget.begin_source()
    budget.take(5000)  # headers
    budget.learn(50)
    with pytest.raises(SourceError, match="sent more than 2 times"):
        budget.take(limits.LIMITS.spare_bytes // 2)
    budget.begin_source()
    budget.learn(100_000_000)
    budget.take(150_000_000)


@pytest.mark.parametrize(
    ("text", "netloc", "target"),
    [
        ("https://Example.org", "example.org", "/"),
        ("http://example.org:80/a b?c=d e#f", "example.org", "/a%20b?c=d%20e"),
        ("https://example.org:8443/%7Ea%20", "example.org:8443", "/%7Ea%20"),
        ("https://bücher.example/ü", "xn--bcher-kva.example", "/%C3%BC"),
        ("http://[::1]:8080/x", "[::1]:8080", "/x"),
        ("https://a.example/x?X-Amz-Signature=a%2Fb&e='1'", "a.example", "/x?X-Amz-Signature=a%2Fb&e='1'"),
    ],
)
def test_an_address_as_it_is_asked(text: str, netloc: str, target: str) -> None:
    address = parse_address(text)
    assert (address.netloc, address.target) == (netloc, target)
    assert parse_address(address.text) == address


def test_a_server_that_asks_for_a_pause_gets_it_and_it_is_told(
    hub: Hub, short: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    file = HubFile(DATA, store_status=503)

    def slept(seconds: float) -> None:
        waits.append(seconds)
        file.store_status = 200

    monkeypatch.setattr(limits, "sleep", slept)
    short(pause=1.0)
    events: list[Event] = []
    source = at(hub, "a/a", file)
    fetch(weight(source), on_event=events.append)
    assert len(waits) == 1 and 1.0 <= waits[0] <= 1.25
    (said,) = [e.message for e in events if isinstance(e, Notice) and "trying again" in e.message]
    assert said == f"{source.address.split('/')[2]}: the server failed (503); trying again in {waits[0]:.1f} s"


def test_a_server_that_ignores_ranges_and_always_cuts_is_given_up(hub: Hub, short: Callable[..., None]) -> None:
    file = weight(at(hub, "a/a", HubFile(DATA, cuts=[len(DATA) // 2] * 500, ranges=False)))
    with pytest.raises(MissingError, match="the connection was cut after 8192 of 16384 bytes") as caught:
        fetch(file)
    assert len(hub.requests) == limits.LIMITS.tries
    assert sum(request.sent for request in hub.requests) == 2 * len(DATA)
    assert "goes on after the 8.2 kB that are here" in caught.value.hint


def test_what_was_right_once_is_not_lost_to_a_file_of_another_kind(hub: Hub, short: Callable[..., None]) -> None:
    cut, page = at(hub, "a/a", HubFile(DATA, cuts=[9000, *[0] * 20])), at(hub, "b/b", HubFile(b"<html>" + DATA))
    with pytest.raises(MissingError):
        fetch(weight(cut))
    with pytest.raises(IntegrityError, match="has another file: 16390 bytes, expected 16384"):
        fetch(weight(page))
    hub.requests.clear()
    fetch(weight(at(hub, "c/c", HubFile(DATA))))
    assert [request.range for request in hub.requests] == ["bytes=9000-"]


@contextlib.contextmanager
def interrupted(seconds: float) -> Iterator[None]:
    """Ctrl-C after so many seconds, which has to end the block within one more.

    One that comes too late, because the block has ended by itself, must not end the process that runs the tests.
    """
    over = threading.Event()

    def stop(*_: object) -> None:
        if not over.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    started = time.monotonic()
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        over.set()
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - started < seconds + 1.5


posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


@posix
def test_an_interruption_ends_a_pause(hub: Hub, short: Callable[..., None]) -> None:
    short(pause=60.0, longest_pause=60.0)
    with interrupted(0.5):
        fetch(weight(at(hub, "a/a", HubFile(DATA, store_status=503))))


@posix
def test_an_interruption_ends_a_silence(hub: Hub, short: Callable[..., None]) -> None:
    short(silence=60.0)
    file = weight(at(hub, "a/a", HubFile(DATA, stall=threading.Event(), stalls_after=5000)))
    with interrupted(0.5):
        fetch(file)
    hub.files[f"a/a/{COMMIT}/w.pt"].stall = None
    assert hashlib.sha256(fetch(file).read_bytes()).hexdigest() == file.sha256
    assert hub.requests[-1].range == "bytes=5000-"  # what had come is kept


@posix
def test_an_interruption_ends_a_look_up(short: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: over.wait(30))
    short(connect=60.0)
    with interrupted(0.5):
        fetch(weight(Source(kind="https", address="https://example.org/w.pt")))
    over.set()


def test_a_look_up_that_never_ends_is_given_up(short: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: over.wait(30))
    short(connect=0.3, silence=0.3)
    with pytest.raises(MissingError, match=r"example\.org: no answer in time"):
        fetch(weight(Source(kind="https", address="https://example.org/w.pt")))
    over.set()


@pytest.mark.parametrize(("number", "tries"), [(socket.EAI_NONAME, 1), (socket.EAI_AGAIN, limits.LIMITS.tries)])
def test_a_name_that_is_not_found(
    short: Callable[..., None], monkeypatch: pytest.MonkeyPatch, number: int, tries: int
) -> None:
    asked: list[str] = []

    def look_up(host: str, port: int, **options: object) -> None:
        asked.append(host)
        raise socket.gaierror(number, "no")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(MissingError, match=r"example\.org: the name of its host is not found"):
        fetch(weight(Source(kind="https", address="https://example.org/w.pt")))
    assert asked == ["example.org"] * tries


def test_only_what_is_waited_for_counts_as_slow(short: Callable[..., None]) -> None:
    """A disk that takes a second for each piece is not the server's fault."""
    short(window=0.3)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire = connection.Wire(ours, 1.0, time.monotonic() + 1.0)
        wire.begin_body()
        for _ in range(4):
            theirs.sendall(b"x")
            time.sleep(0.15)
            assert wire.readinto(bytearray(10)) == 1
