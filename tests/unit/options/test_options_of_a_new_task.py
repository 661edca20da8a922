"""A task is its module and its row in the table: command, help, configuration and Python function follow."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.cli import registry
from pixel2style2pixel_cli.cli.app import run
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import Summary
from pixel2style2pixel_cli.jobs import start
from pixel2style2pixel_cli.options.declare import declare
from pixel2style2pixel_cli.options.task import FaceOptions, TaskOptions
from pixel2style2pixel_cli.tasks.table import TASKS, Row


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class PosterOptions(FaceOptions):
    """Options of a made-up task."""

    command: ClassVar[str] = "poster"
    examples: ClassVar[tuple[str, ...]] = ("p2s2p poster photo.jpg --levels 3",)

    levels: int = declare(4, "--levels", metavar="N", minimum=2, maximum=256, help="Greys of each colour.")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[TaskOptions]]:
    """The options of each run of the made-up task."""
    module = ModuleType("poster")
    module.PosterOptions = PosterOptions  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pixel2style2pixel_cli.tasks.poster", module)
    monkeypatch.setitem(TASKS, "poster", Row("PosterOptions", "Draw each face in a few colours."))
    monkeypatch.setitem(registry.COMMANDS, "poster", TASKS["poster"].does)
    calls: list[TaskOptions] = []
    summary = Summary(
        ok=1, skipped=0, no_face=0, failed=0, ignored=0, seconds=0.0, device="cpu", dtype="float32", model="m"
    )

    def run_task(inputs: list[str], options: TaskOptions) -> Summary:
        calls.append(options)
        return summary

    monkeypatch.setattr(start, "run_task", run_task)
    monkeypatch.chdir(tmp_path)
    yield calls
    vars(api).pop("poster", None)


def test_a_row_makes_a_command(told: list[TaskOptions], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0 and "Draw each face in a few colours." in capsys.readouterr().out
    assert run(["poster", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.index("--levels") < text.index("--out") < text.index("p2s2p poster photo.jpg --levels 3")
    assert run(["poster", "a.jpg", "--levels", "3", "--face", "all"]) == 0
    assert isinstance(told[0], PosterOptions) and (told[0].levels, told[0].face) == (3, "all")
    assert run(["poster", "a.jpg", "--levels", "1"]) == 2
    assert "--levels is '1', expected a whole number from 2 to 256" in capsys.readouterr().err


def test_a_row_makes_configuration(
    told: list[TaskOptions], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("P2S2P_POSTER_LEVELS", "5")
    assert run(["poster", "a.jpg"]) == 0
    assert isinstance(told[0], PosterOptions) and told[0].levels == 5
    monkeypatch.setenv("P2S2P_POSTER_LEVELS", "1")
    assert run(["poster", "a.jpg"]) == 2
    assert "P2S2P_POSTER_LEVELS in the environment is '1'" in capsys.readouterr().err


def test_a_row_makes_a_python_function(told: list[TaskOptions]) -> None:
    assert "poster" in dir(api)
    assert inspect.signature(api.poster).parameters["levels"].default == 4
    assert "levels: Greys of each colour. Default: 4." in (api.poster.__doc__ or "")
    assert api.poster("a.jpg", levels=7).ok == 1
    assert isinstance(told[0], PosterOptions) and told[0].levels == 7
    with pytest.raises(UsageError, match="levels is 500, expected a whole number from 2 to 256"):
        api.poster("a.jpg", levels=500)
