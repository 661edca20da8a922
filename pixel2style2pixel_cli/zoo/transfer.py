"""Bytes from one address into one file: what it lacks, nothing but what can be of the file, and why that failed."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from pixel2style2pixel_cli.errors import OutputError, in_one_line
from pixel2style2pixel_cli.events import OnEvent, Progress
from pixel2style2pixel_cli.zoo import limits
from pixel2style2pixel_cli.zoo.address import Address, parse_address
from pixel2style2pixel_cli.zoo.cards import Source, WeightFile
from pixel2style2pixel_cli.zoo.limits import SILENCE_VARIABLES, Budget, SourceError, silence_of
from pixel2style2pixel_cli.zoo.request import Answer, asked, length_of
from pixel2style2pixel_cli.zoo.verify import stand_in

SHA256 = re.compile(r"[0-9a-f]{64}")
LOGIN = re.compile(r"[\x20-\x7e]+")
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15}|\*)")
PACKED = ("gzip", "x-gzip", "deflate", "compress", "br", "zstd")
ENDPOINT_VARIABLE = "HF_ENDPOINT"
HEAD_BYTES = 512  # that tell a web page from weights


def hub_address(source: Source, weight: WeightFile) -> tuple[Address, str | None]:
    """Where the Hub has a file, and the value of ``Authorization`` for it; SourceError where the settings are wrong."""
    for method in SILENCE_VARIABLES:
        silence_of(method)  # huggingface_hub does not start with a wrong one, and does not say which it is
    endpoint = os.environ.get(ENDPOINT_VARIABLE)
    if endpoint:
        try:
            parse_address(endpoint)
        except SourceError as error:
            raise SourceError(
                f"{ENDPOINT_VARIABLE} is {in_one_line(endpoint)[:100]!r}, expected an address such as "
                "https://huggingface.co"
            ) from error
    try:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers

        url = hf_hub_url(
            source.address,
            source.path or weight.file,
            repo_type=None if source.repo_type == "model" else source.repo_type,
            revision=source.revision,
        )
        login = build_hf_headers().get("authorization")
    except Exception as error:  # names of repositories, variables that are no numbers, logins that cannot be renewed
        raise SourceError(f"huggingface_hub refuses the settings: {in_one_line(error)}") from error
    if login is not None and not LOGIN.fullmatch(login):
        raise SourceError("the login of the Hub (HF_TOKEN) has characters that no login has; correct or unset it")
    return parse_address(url), login


def checked_size(address: Address, weight: WeightFile, login: str | None, budget: Budget) -> int:
    """Size of the file at an address, from its headers alone; SourceError unless it can be the card's."""
    with asked("HEAD", address, login=login, budget=budget) as answer:
        size = length_of(answer.headers, "X-Linked-Size")  # the Hub, which leads elsewhere for the content
        if size is None and answer.status == 200:
            size = answer.length
        etag = answer.headers.get("X-Linked-Etag") or answer.headers.get("ETag") or ""
    etag = etag.strip().removeprefix("W/").strip('"')
    _check_size(size, weight.size)
    if SHA256.fullmatch(etag) and etag != weight.sha256:  # the etag of a large file is its sha256
        raise SourceError(f"has another file: sha256 {etag}, expected {weight.sha256}")
    size = weight.size if weight.size is not None else size
    if size is None:
        raise SourceError("does not say how large the file is, and neither does the card")
    return size


def transfer(
    address: Address, part: Path, size: int, *, login: str | None, budget: Budget, label: str, on_event: OnEvent
) -> None:
    """Fetch what ``part`` lacks of the ``size`` bytes at ``address``.

    After a SourceError there is at ``part`` at most what a later call may go on from: bytes of answers that said the
    right size and did not prove to be something else. Each is on the disk as soon as it has come.
    """
    had = part_size(part)
    if had > size:
        part.unlink()
        had = 0
    if had == size:
        return
    try:
        with asked("GET", address, start=had, login=login, budget=budget) as answer:
            start = _place(answer, had, size)
            with part.open("r+b" if part.exists() else "x+b", buffering=0) as file:
                end = _append(file, answer.pieces(), start, size, label, on_event)
    except SourceError as error:
        if error.wrong:
            _take_back(part, had)
        if part_size(part) == 0:
            remove_part(part)
        raise
    if end < size:
        raise SourceError(f"the connection was cut after {end} of {size} bytes", again=True)


def part_size(part: Path) -> int:
    """Bytes fetched already."""
    return part.stat().st_size if part.exists() else 0


def remove_part(part: Path) -> None:
    """Remove what was fetched of a file, and its folder where that holds nothing else."""
    part.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        part.parent.rmdir()


def _take_back(part: Path, had: int) -> None:
    """Leave only what there was before an answer that proved to be something else."""
    if part_size(part) > had:
        os.truncate(part, had)
    elif part_size(part) < had:  # it was written over
        remove_part(part)


def _check_size(found: int | None, expected: int | None) -> None:
    if found is None:
        return
    if expected is not None and found != expected:
        raise SourceError(f"has another file: {found} bytes, expected {expected}", wrong=True)
    if found > limits.LIMITS.unknown_size and expected is None:
        raise SourceError(f"has a file of {found} bytes, expected at most {limits.LIMITS.unknown_size}")


def _check_kind(head: bytes) -> None:
    instead = stand_in(head)
    if instead is not None:
        raise SourceError(f"sent a {instead}, not weights", wrong=True)


def _place(answer: Answer, had: int, size: int) -> int:
    """Where in the file the body begins; SourceError where it cannot be of this file."""
    packed = answer.headers.get("Content-Encoding", "").strip().lower()
    if packed in PACKED:  # of other words there, the hash decides: some stores keep those of an upload
        raise SourceError(f"sends the file packed ({packed}), which was not asked for")
    length = answer.length
    if answer.status == 200:  # all of it, also where a part was asked for
        if length not in (None, size):
            _check_kind(next(answer.pieces(), b""))  # the better reason
        _check_size(length, size)
        return 0
    found = CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if found is None:
        raise SourceError("sends a part of the file, and not which")
    start, last = int(found[1]), int(found[2])
    total = size if found[3] == "*" else int(found[3])
    _check_size(total, size)
    if start != had or not start <= last < size:
        raise SourceError(f"sends another part of the file: bytes {start} to {last}, expected {had} and on")
    if length is not None and length != last - start + 1:
        raise SourceError("says two lengths of what it sends")
    return start


def _append(file: BinaryIO, pieces: Iterable[bytes], start: int, total: int, label: str, on_event: OnEvent) -> int:
    """Write a body that begins at byte ``start`` of the file; returns where it ended.

    What is there already is compared, not written again: a server without ranges sends all of it, and a connection
    that is cut before the end of what there was has cost nothing. Where they differ, the server's bytes count.
    """
    had = file.seek(0, os.SEEK_END)
    at, seen = start, b""
    for piece in pieces:
        if at == len(seen) < HEAD_BYTES:
            seen += piece[: HEAD_BYTES - len(seen)]
            _check_kind(seen)
        end = at + len(piece)
        if end > total:
            raise SourceError(f"sent more than {total} bytes", wrong=True)
        try:
            if at < had:
                file.seek(at)
                same = min(len(piece), had - at)
                if file.read(same) == piece[:same]:
                    piece = piece[same:]
                else:
                    had = file.truncate(at)
            file.seek(end - len(piece))
            rest = memoryview(piece)
            while len(rest):
                rest = rest[file.write(rest) :]
        except OSError as error:
            raise OutputError(
                f"{file.name} cannot be written: {error.strerror or error}",
                "free some space, or set P2S2P_HOME to a folder that can be written; what is fetched already is kept",
            ) from error
        at = end
        on_event(Progress(done=max(at, had), total=total, label=label, unit="bytes"))
    return at
