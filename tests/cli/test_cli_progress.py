"""What a real run reports while it works, and what a terminal shows of it."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest
from real_run import Call, write_photos
from test_cli_start import environment

from pixel2style2pixel_cli import api
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
