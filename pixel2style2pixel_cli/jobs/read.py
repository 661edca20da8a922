"""Reading inputs ahead of the network: in threads, and, where that pays, in helper processes of their own.

dlib holds Python's lock while it searches a photograph, so threads alone would search one at a time. A helper is this
module run as a program: requests come on its standard input, answers leave on its standard output, both pickled. It
imports no torch, and the end of its input, which also comes when the run is killed, ends it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import IO, TypeAlias

from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.files.image import Photo
from pixel2style2pixel_cli.jobs.plan import PlanItem
from pixel2style2pixel_cli.tasks.base import Prepared, Preparer
from pixel2style2pixel_cli.tasks.outcome import as_outcome
from pixel2style2pixel_cli.wording import short_warnings

# Pictures read ahead of the network, so that a folder of photographs does not end up in memory.
READ_AHEAD = 8
# A helper takes about as long to start as a photograph to search; below this many inputs threads are as fast.
WORTH_HELPERS = 8
MOST_READERS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """One input, read and prepared; ``seconds`` is what that took."""

    photo: Photo
    prepared: Sequence[Prepared]
    seconds: float


Outcome: TypeAlias = Read | P2S2PError


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """What is done to every input; picklable. Without ``keep_pixels`` only the crops leave, not the photograph."""

    preparer: Preparer
    max_pixels: int
    keep_pixels: bool

    def run(self, source: Path | bytes, label: str, relative: str) -> Outcome:
        """Decode and prepare one input, or say why that cannot be done."""
        started = time.perf_counter()
        try:
            photo = self.preparer.read(source, name=label, max_pixels=self.max_pixels)
            prepared = self.preparer.prepare(photo, relative)
        except P2S2PError as error:
            return error
        except Exception as error:
            return as_outcome(error, label)
        if not self.keep_pixels:
            photo = replace(photo, pixels=photo.pixels[:0].copy())  # a view would keep all of them
        return Read(photo=photo, prepared=prepared, seconds=time.perf_counter() - started)


class Readers:
    """Reads the inputs of a plan in its order, some ahead of who takes them; a context manager."""

    def __init__(self, preparation: Preparation, todo: Sequence[PlanItem], stdin: Callable[[], bytes]) -> None:
        self._preparation, self._todo, self._stdin = preparation, todo, stdin
        count = max(1, min(MOST_READERS, os.cpu_count() or 1))
        self._threads = ThreadPoolExecutor(count)
        helped = preparation.preparer.holds_interpreter and count > 1 and len(todo) >= WORTH_HELPERS
        self._helpers = [_Helper(preparation) for _ in range(count)] if helped and sys.executable else []
        self._idle: SimpleQueue[_Helper] = SimpleQueue()
        for helper in self._helpers:
            self._idle.put(helper)

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *_: object) -> None:
        """What has not begun is dropped; what is being read ends first."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for helper in self._helpers:
            helper.close()

    def ahead(self, batch_size: int) -> Iterator[tuple[PlanItem, Outcome]]:
        """Every input with what came of it, in the order of the plan."""
        ahead = max(READ_AHEAD, batch_size + 2)
        pending: deque[tuple[PlanItem, Future[Outcome]]] = deque()
        for item in self._todo:
            pending.append((item, self._threads.submit(self._read, item)))
            if len(pending) > ahead:
                first, future = pending.popleft()
                yield first, future.result()
        while pending:
            first, future = pending.popleft()
            yield first, future.result()

    def _read(self, item: PlanItem) -> Outcome:
        source = item.source if item.source is not None else self._stdin()
        if not self._helpers:
            return self._preparation.run(source, item.label, item.relative)
        helper = self._idle.get()
        try:
            return helper.run(source, item.label, item.relative)
        except (OSError, EOFError, pickle.UnpicklingError):
            # The helper died, by the system's hand for example; what it was doing is done here.
            return self._preparation.run(source, item.label, item.relative)
        finally:
            self._idle.put(helper)


class _Helper:
    """One process that prepares inputs."""

    def __init__(self, preparation: Preparation) -> None:
        # It imports from where this process does, and never from the folder it happens to be started in. A session of
        # its own: Ctrl-C reaches the run alone, which then ends its helpers.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
        with contextlib.suppress(OSError):
            _send(preparation, self._stream(self._process.stdin))

    def run(self, source: Path | bytes, label: str, relative: str) -> Outcome:
        """What ``Preparation.run`` gives; OSError or EOFError when the process is gone."""
        _send((source, label, relative), self._stream(self._process.stdin))
        answer: Outcome = pickle.load(self._stream(self._process.stdout))
        return answer

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._stream(self._process.stdin).close()
        self._stream(self._process.stdout).close()
        self._process.wait()

    @staticmethod
    def _stream(stream: IO[bytes] | None) -> IO[bytes]:
        if stream is None:
            raise TypeError("a helper's streams are pipes")
        return stream


def _send(value: object, stream: IO[bytes]) -> None:
    pickle.dump(value, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def _serve() -> None:
    """A helper's life: the preparation first, then a request and an answer at a time."""
    requests = sys.stdin.buffer
    # Answers have the pipe to themselves: what a library prints goes to the error stream.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    short_warnings()
    try:
        preparation: Preparation = pickle.load(requests)
        while True:
            source, label, relative = pickle.load(requests)
            _send(preparation.run(source, label, relative), answers)
    except (EOFError, OSError):
        return


if __name__ == "__main__":
    _serve()
