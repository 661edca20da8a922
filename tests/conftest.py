"""One thread for each test process, a zoo of tiny models, and the command line run on it for real."""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

# Before anything imports torch. Processes run side by side (-n), so more threads would only fight for the same cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The servers of the tests are on this machine, whatever proxy it has.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@pytest.fixture(scope="session")
def tiny_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of cards and weights, to be read only: ``tiny-generator`` and ``tiny-invert``."""
    from tiny_zoo import tiny_model, write_zoo

    return write_zoo(tmp_path_factory.mktemp("zoo"), tiny_model())


@pytest.fixture(scope="session")
def task_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a model for every task, to be read only."""
    from tiny_zoo import write_task_zoo

    return write_task_zoo(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="session")
def checked_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder that remembers the hash of the landmark file, so that 100 MB are hashed once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def load_once() -> Callable[[Path, float], object]:
    """The dlib detector, built once a threshold: its landmark file takes half a second to read."""
    from pixel2style2pixel_cli.face.dlib_detector import DlibDetector

    return functools.cache(DlibDetector)


@pytest.fixture
def real(
    folder: Path,
    tiny_zoo: Path,
    checked_home: Path,
    load_once: Callable[[Path, float], object],
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Callable[..., object]:
    """Run one command line on the tiny zoo, nothing faked: ``real("invert", "a.png", stdin=b"...")``."""
    import torch
    from real_run import RealRun

    from pixel2style2pixel_cli.cli.app import run
    from pixel2style2pixel_cli.face import detectors

    torch.set_num_threads(1)  # another number of threads may add up in another order
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(checked_home))
    monkeypatch.setitem(detectors.DETECTORS, "dlib", load_once)

    def call(*arguments: str | Path, stdin: bytes = b"") -> RealRun:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
        capsysbinary.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsysbinary.readouterr()
        return RealRun(code=code, out=captured.out, err=captured.err.decode())

    return call
