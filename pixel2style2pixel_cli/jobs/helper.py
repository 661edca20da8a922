"""Helper processes that prepare inputs, because dlib holds Python's lock while it searches a photograph.

A helper is this module run as a program: requests come on its standard input, answers leave on its standard output,
both pickled. It imports no torch, and the end of its input, which also comes when the run is killed, ends it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pixel2style2pixel_cli.wording import short_warnings

if TYPE_CHECKING:
    from pixel2style2pixel_cli.jobs.prepare import Outcome, Preparation


class Helpers:
    """Processes that wait for work. One that dies is replaced, as many times as there were at first, then left out."""

    def __init__(self, preparation: Preparation, count: int) -> None:
        self._preparation = preparation
        self._lock = threading.Lock()
        self._idle: list[Helper] = []
        self._all: list[Helper] = []
        self._spare = count
        for _ in range(count):
            self._start()

    def close(self) -> None:
        """End all of them, once they have done what they were given."""
        for helper in self._all:
            helper.close()

    def take(self) -> Helper | None:
        """One that waits; None where there is none, and the work is to be done here."""
        with self._lock:
            return self._idle.pop() if self._idle else None

    def give(self, helper: Helper) -> None:
        """Let it wait for the next input."""
        with self._lock:
            self._idle.append(helper)

    def replace(self, dead: Helper) -> None:
        """Another one in the place of one that died."""
        dead.kill()
        with self._lock:
            self._all.remove(dead)
            again = self._spare > 0
            self._spare -= 1
        if again:
            self._start()

    def _start(self) -> None:
        if not sys.executable:  # embedded in another program
            return
        with contextlib.suppress(OSError):  # no room for another process: threads do the work
            helper = Helper(self._preparation)
            with self._lock:
                self._all.append(helper)
                self._idle.append(helper)


class Helper:
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

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self.close()

    def close(self) -> None:
        """End the process once it has done what it was given."""
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
