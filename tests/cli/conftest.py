"""A command line run inside the test process, away from the configuration of whoever runs the tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest
from fake_api import FakeApi, Result, mixed_run

import pixel2style2pixel_cli
from pixel2style2pixel_cli.cli.app import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, no user file, none of our variables."""
    for name in list(os.environ):
        if name.startswith(("P2S2P_", "_P2S2P", "SLURM_", "HF_")) or name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(platformdirs, "user_config_path", lambda name: tmp_path / "user")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """The fake in the place of the real functions."""
    fake = FakeApi(events=mixed_run())
    monkeypatch.setitem(sys.modules, "pixel2style2pixel_cli.api", fake)
    monkeypatch.setattr(pixel2style2pixel_cli, "api", fake, raising=False)
    return fake


@pytest.fixture
def p2s2p(folder: Path, api: FakeApi, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run one command line: ``p2s2p("invert", "a.jpg")``."""

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        return Result(code=code, out=captured.out, err=captured.err)

    return call
