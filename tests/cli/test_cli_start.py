"""The command starts quickly, imports nothing heavy, and ends well when it is stopped from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pixel2style2pixel_cli.cli.registry import OTHERS
from pixel2style2pixel_cli.tasks.table import TASKS

HEAVY = ("torch", "torchvision", "numpy", "PIL", "dlib", "lpips", "huggingface_hub", "safetensors", "pydantic")
HERE = Path(__file__).parent

# a run whose events never end: it stops by a signal or because nobody reads
ENDLESS = """
import sys, time
import fake_api, pixel2style2pixel_cli
from pixel2style2pixel_cli.__main__ import main

def events():
    while True:
        time.sleep(0.01)
        yield fake_api.image("a.jpg")

fake = fake_api.FakeApi(events=events())
sys.modules["pixel2style2pixel_cli.api"] = pixel2style2pixel_cli.api = fake
main()
"""


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    return {**os.environ, "PYTHONPATH": path}


def imported_by(*arguments: str, of: Sequence[str] = HEAVY) -> tuple[int, str]:
    code = (
        "import sys; from pixel2style2pixel_cli.cli.app import run; "
        f"code = run({list(arguments)!r}); "
        f"sys.stderr.write(' '.join(m for m in {of!r} if m in sys.modules)); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["invert", "--help"], ["train", "encoder", "--help"], ["models", "list", "--help"]],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert imported_by(*arguments) == (0, "")


def test_a_command_builds_no_other() -> None:
    commands = [
        f"pixel2style2pixel_cli.{part}.{name}" for part, names in (("tasks", TASKS), ("cli", OTHERS)) for name in names
    ]
    assert imported_by("--help", of=commands) == (0, "")
    assert imported_by("invert", "--help", of=commands) == (0, "pixel2style2pixel_cli.tasks.invert")


def test_help_starts_fast() -> None:
    times = []
    for _ in range(4):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "pixel2style2pixel_cli", "invert", "--help"],
            capture_output=True, env=environment(), check=True,
        )  # fmt: skip
        times.append(time.perf_counter() - started)
    # the aim is 0.4 s; the bound leaves room for a machine busy with other tests
    assert min(times) < 0.8, times


def test_completion_lists_commands_and_choices() -> None:
    asked = environment() | {
        "_P2S2P_COMPLETE": "complete_bash",
        "COMP_WORDS": "p2s2p invert --grid ",
        "COMP_CWORD": "3",
    }
    command = [sys.executable, "-m", "pixel2style2pixel_cli"]
    done = subprocess.run(command, capture_output=True, text=True, env=asked, check=True)
    assert done.stdout.split() == ["none", "pair", "row", "sheet"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_reader_that_leaves_ends_the_run_quietly(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENDLESS, "invert", "a", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), cwd=tmp_path
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith('{"event"')
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=30)
    assert process.returncode == 130
    assert err == ""
