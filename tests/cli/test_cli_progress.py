"""What a real run reports while it works, and what a terminal shows of it."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest
from real_run import Call, write_photos
from task_inputs import COMMANDS, write_inputs
from test_cli_start import environment

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.engine import start
from pixel2style2pixel_cli.events import Event, Phase, Progress


def test_a_run_says_what_it_is_doing(real: Call, folder: Path) -> None:
    write_photos(folder / "in", ["a.png", "b.png"])
    events: list[Event] = []
    api.invert("in", out="out", align="never", optimize=3, mix_seed="0-1", batch_size=1, on_event=events.append)
    first = next(event for event in events if isinstance(event, (Progress, Phase)))
    assert first == Progress(done=0, total=4, label="invert")
    phases = [event for event in events if isinstance(event, Phase)]
    names = [name for name, _ in groupby(event.name for event in phases)]
    a_picture = ["drawing", "optimising"]
    assert names[:2] == ["loading", "reading"] and names[-1] == "writing"
    assert "".join(names).count("".join(a_picture)) == 2
    steps = [event for event in phases if event.name == "optimising"]
    assert [(event.done, event.total, event.pictures) for event in steps] == [(1, 3, 2), (2, 3, 2), (3, 3, 2)] * 2
    assert [event.done for event in events if isinstance(event, Progress)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("command", COMMANDS)
def test_names_of_inputs_are_checked_before_a_model_loads(
    real: Call, task_zoo: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(start, "start_engine", load)
    monkeypatch.setenv("P2S2P_ZOO", str(task_zoo))
    write_inputs(command, folder / "in", ["a.png"])
    misspelt = ["a.png", "b.png"] if command == "mix" else ["b.png"]
    done = real(command, *(f"in/{name}" for name in misspelt), *COMMANDS[command], "-o", "out")
    assert done.code == 3 and "error: in/b.png does not exist" in done.err
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("typed", "missing", "code"),
    [
        (["mix", "in/b.png", "in/a.png", "--align", "never"], "in/b.png", 3),
        (["mix", "in/b.png", "--mix-seed", "0", "--align", "never"], "in/b.png", 3),
        (["inpaint", "in/a.png", "--mask", "masks/no.png", "--align", "never"], "the mask masks/no.png", 2),
    ],
)
def test_contents_and_masks_are_looked_for_before_a_model_loads(
    real: Call, task_zoo: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, typed: list[str], missing: str, code: int
) -> None:
    monkeypatch.setattr(start, "start_engine", lambda *_, **__: pytest.fail("a model was loaded"))
    monkeypatch.setenv("P2S2P_ZOO", str(task_zoo))
    write_inputs("mix", folder / "in", ["a.png"])
    done = real(*typed, "-o", "out")
    assert done.code == code and f"error: {missing} does not exist" in done.err


@pytest.mark.skipif(os.name == "nt", reason="a pseudo-terminal")
def test_a_terminal_has_a_bar_from_the_first_second(tiny_zoo: Path, folder: Path) -> None:
    import pty

    write_photos(folder / "in", ["a.png"])
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pixel2style2pixel_cli", "invert", "in", "-o", "out", "--align", "never"]
    asked = environment() | {"P2S2P_ZOO": str(tiny_zoo), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [*command, "--optimize", "40"], stdout=subprocess.DEVNULL, stderr=theirs, env=asked, cwd=folder
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            shown += block
            if not block:
                break
    os.close(ours)
    assert process.returncode == 0
    text = shown.decode()
    assert text.index("loading the model") < text.index("1 written")
    assert "invert" in text and "0/1" in text and text.rstrip().endswith("out/a.png")
