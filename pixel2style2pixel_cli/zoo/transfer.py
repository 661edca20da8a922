"""Bytes from one address into one file, through huggingface_hub: what it has, the rest of it, and why it failed."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pixel2style2pixel_cli.errors import OutputError
from pixel2style2pixel_cli.events import OnEvent, Progress
from pixel2style2pixel_cli.zoo.cards import Source, WeightFile
from pixel2style2pixel_cli.zoo.verify import stand_in

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

SHA256 = re.compile(r"[0-9a-f]{64}")
# The HTTP library under huggingface_hub has changed twice, and its exceptions are no part of what that exports.
HTTP_LIBRARIES = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")
STATUS = {
    401: "needs a login (401); HF_TOKEN gives one",
    403: "refuses access (403)",
    404: "not found (404)",
    416: "has fewer bytes than another source sent (416)",
    429: "too many requests (429)",
}


class SourceError(Exception):
    """A source did not help.

    ``wrong``: it sent something that is not the file. ``keep``: what it sent so far may be continued later.
    """

    def __init__(self, reason: str, *, wrong: bool = False, keep: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.wrong, self.keep = reason, wrong, keep


class Sink(io.FileIO):
    """A file that is appended to; refuses what cannot be the weights at the first byte that shows it."""

    def __init__(self, path: Path, total: int | None, label: str, on_event: OnEvent) -> None:
        super().__init__(path, "ab")
        self._total, self._label, self._on_event = total, label, on_event

    def write(self, data: ReadableBuffer, /) -> int:
        """Append everything and report how far the file is."""
        rest, start = memoryview(data), self.tell()
        end = start + len(rest)
        instead = stand_in(bytes(rest[:512])) if start == 0 else None
        if instead is not None:
            raise SourceError(f"sent a {instead}, not weights", wrong=True)
        if self._total is not None and end > self._total:
            raise SourceError(f"sent more than {self._total} bytes", wrong=True)
        try:
            while len(rest):
                rest = rest[super().write(rest) :]
        except OSError as error:  # told apart here from what the connection raises
            raise OutputError(
                f"{self.name} cannot be written: {error.strerror or error}",
                "free some space, or set P2S2P_HOME to a folder that can be written; what is fetched already is kept",
            ) from error
        self._on_event(Progress(done=end, total=self._total, label=self._label, unit="bytes"))
        return end - start


def hub_file(source: Source, weight: WeightFile) -> tuple[str, int | None]:
    """Address and size of a file on the Hub, from its headers alone; SourceError unless it can be the card's."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    with _quiet(), _explained():
        url = hf_hub_url(
            source.address,
            source.path or weight.file,
            repo_type=None if source.repo_type == "model" else source.repo_type,
            revision=source.revision,
        )
        found = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    if weight.size is not None and found.size is not None and found.size != weight.size:
        raise SourceError(f"has another file: {found.size} bytes, expected {weight.size}")
    etag = found.etag or ""
    if SHA256.fullmatch(etag) and etag != weight.sha256:  # the etag of a large file is its sha256
        raise SourceError(f"has another file: sha256 {etag}, expected {weight.sha256}")
    return url, weight.size if weight.size is not None else found.size


def transfer(address: str, part: Path, size: int | None, *, hub: bool, label: str, on_event: OnEvent) -> None:
    """Fetch what ``part`` lacks of the ``size`` bytes at ``address``; the login of HF_TOKEN goes to the Hub only.

    huggingface_hub's cache is not used: its downloads begin anew after a killed process. The library writes pieces of
    10 MB, so that much may be fetched twice after a cut. After a SourceError ``part`` is still there only where a
    later call may go on from it.
    """
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    try:
        with _quiet(), Sink(part, size, label, on_event) as sink, _explained():
            start = sink.seek(0, io.SEEK_END)
            if size is not None and start > size:
                raise SourceError("was to continue a longer file")
            http_get(address, sink, resume_size=start, headers=build_hf_headers() if hub else None, expected_size=size)
    except SourceError as error:
        if not error.keep or part.stat().st_size == 0:
            remove_part(part)
        raise


def remove_part(part: Path) -> None:
    """Remove what was fetched of a file, and its folder where that holds nothing else."""
    part.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        part.parent.rmdir()


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Failures of the Hub and of the connection as SourceError, in a few words; anything else is a bug and passes."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HfHubHTTPError as error:
        status = int(getattr(error.response, "status_code", 0))
        raise SourceError(STATUS.get(status, f"the server failed ({status})"), keep=True) from error
    except HFValidationError as error:
        raise SourceError("is no name of a repository") from error
    except Exception as error:
        name, library = type(error).__name__, type(error).__module__.partition(".")[0]
        if "Timeout" in name and (library in HTTP_LIBRARIES or isinstance(error, TimeoutError)):
            raise SourceError("no answer in time", keep=True) from error
        if library in HTTP_LIBRARIES or isinstance(error, ConnectionError):
            raise SourceError(f"the connection failed ({name})", keep=True) from error
        if isinstance(error, OSError):  # the library's own check of the size
            raise SourceError("sent another number of bytes than it said", wrong=True) from error
        raise


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Neither progress bars nor log lines of the library: the events say the same in our words."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from huggingface_hub.utils import logging as hub_logging

    level, silent = hub_logging.get_verbosity(), are_progress_bars_disabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hub_logging.set_verbosity(hub_logging.ERROR)
        if not silent:
            disable_progress_bars()
        try:
            yield
        finally:
            hub_logging.set_verbosity(level)
            if not silent:
                enable_progress_bars()
