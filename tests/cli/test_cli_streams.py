"""Standard streams that are closed, full or have lost their reader: messages may be lost, work and results not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest
from fake_api import FakeApi, Result, image, summary
from real_run import Call, write_photos

from pixel2style2pixel_cli.cli.app import run
from pixel2style2pixel_cli.tasks.outcome import UnforeseenError, as_outcome

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")


@pytest.fixture
def full() -> Iterator[TextIO]:
    stream = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - closing it fails as well
    yield stream
    try:
        stream.close()
    except OSError:
        stream.close()


def lines(err: str) -> list[str]:
    return [line.partition(":")[0] for line in err.splitlines()]


@needs_full
@pytest.mark.parametrize("lost", ["full", "closed", "none"])
def test_lost_messages_cost_no_picture(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, full: TextIO, lost: str
) -> None:
    write_photos(folder / "in", ["a.png", "b.png"])
    if lost == "closed":
        full.close()
    monkeypatch.setattr(sys, "stderr", None if lost == "none" else full)
    assert real("invert", "in", "-o", "out", "--align", "never", "-v").code == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.png", "b.png"]


@needs_full
@pytest.mark.parametrize("lost", ["full", "none"])
def test_lost_json_lines_are_told_and_the_pictures_written(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, full: TextIO, lost: str
) -> None:
    write_photos(folder / "in", ["a.png", "b.png"])
    monkeypatch.setattr(sys, "stdout", None if lost == "none" else full)
    done = real("invert", "in", "-o", "out", "--align", "never", "--json", "-q")
    assert done.code == 3
    ((error, _),) = done.problems
    assert error.startswith("standard output ")
    assert len(list((folder / "out").iterdir())) == 2


@needs_full
def test_a_lost_picture_is_a_failed_input(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, full: TextIO
) -> None:
    write_photos(folder, ["a.png"])
    monkeypatch.setattr(sys, "stdout", full)
    done = real("invert", "a.png", "-o", "-", "--align", "never", "-q")
    assert (done.code, done.problems) == (
        3,
        [("a.png: standard output cannot be written: no space left on device",
          "free some space there, or redirect it elsewhere")],
    )  # fmt: skip


@needs_full
@pytest.mark.parametrize("typed", [["--version"], ["models", "list"], ["--help"], ["invert", "--help"]])
def test_lost_text_is_told(
    p2s2p: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, full: TextIO, typed: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", full)
    done = p2s2p(*typed)
    assert (done.code, lines(done.err)) == (3, ["error", "hint"])


@needs_full
def test_nothing_to_print_is_no_loss(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, full: TextIO) -> None:
    write_photos(folder, ["a.png"])
    monkeypatch.setattr(sys, "stdout", full)
    assert real("invert", "a.png", "-o", "out", "--align", "never").code == 0
    missing = real("invert", "b.png", "-o", "out", "--align", "never", "-q")
    assert missing.code == 3 and len(missing.problems) == 1


@pytest.mark.parametrize("typed", [["-"], ["@-"]])
def test_standard_input_that_is_closed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert run(["invert", *typed, "--align", "never", "-q"]) == 3
    error, hint = capsys.readouterr().err.splitlines()
    assert "standard input cannot be read: it is closed" in error and hint.startswith("hint: send a file")


def test_json_has_no_number_that_json_does_not_know(p2s2p: Callable[..., Result], api: FakeApi) -> None:
    metrics = {"lpips": float("nan"), "mse": float("-inf"), "id": 0.5}
    api.events = [image("a", metrics=metrics), summary(ok=1, busy_share=float("inf"))]
    first, last = (
        json.loads(line, parse_constant=pytest.fail) for line in p2s2p("invert", "a", "--json").out.split("\n")[:2]
    )
    assert first["metrics"] == {"lpips": None, "mse": None, "id": 0.5}
    assert last["busy_share"] is None


def test_the_traceback_of_a_bug_is_shown_when_asked(p2s2p: Callable[..., Result], api: FakeApi) -> None:
    try:
        raise KeyError("\x1b[2J")
    except KeyError as error:
        found = as_outcome(error, "a.jpg")
    assert isinstance(found, UnforeseenError)
    api.events = [image("a.jpg", "failed", message=found.message, hint=found.hint, details=found.details), summary()]
    quiet, loud = p2s2p("invert", "a").err, p2s2p("invert", "a", "-vv").err
    assert "Traceback" not in quiet and "-vv shows where" in quiet
    assert "Traceback (most recent call last):\n" in loud and 'raise KeyError("' in loud and "\x1b" not in loud


def test_the_resume_line_can_be_typed_and_harms_no_terminal(p2s2p: Callable[..., Result], api: FakeApi) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    api.before = stop
    err = p2s2p("invert", "é \x1b[2J\n'.jpg", "b\udcff.jpg").err
    assert err.endswith("  p2s2p invert --skip-existing $'é \\033[2J\\012\\'.jpg' $'b\\377.jpg'\n")
