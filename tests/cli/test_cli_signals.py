"""Signals stop a command in one way, at any moment; libraries that write to the terminal by themselves are caught."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli_start import ENDLESS, environment

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and descriptors")

# a process that gets a signal when it comes to import a module of that name
AT_IMPORT = """
import os, signal, sys

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Stop())
from pixel2style2pixel_cli.__main__ import main
main()
"""
# a process that gets a signal before or after a function of the program does its work
AT_CALL = """
import os, signal
from pixel2style2pixel_cli.__main__ import main
from pixel2style2pixel_cli.cli import app

*owner, name = "{name}".split(".")
owner = getattr(app, owner[0]) if owner else app
whole = getattr(owner, name)

def stopped(*arguments, **named):
    if not {after}:
        os.kill(os.getpid(), signal.SIGHUP)
    done = whole(*arguments, **named)
    if {after}:
        os.kill(os.getpid(), signal.SIGHUP)
    return done

setattr(owner, name, stopped)
main()
"""
# a run in which {does} happens
DOING = """
import logging, os, signal, sys, time, warnings
import fake_api, pixel2style2pixel_cli
from pixel2style2pixel_cli.__main__ import main
from pixel2style2pixel_cli.errors import MissingError

def before():
{does}

fake = fake_api.FakeApi(events=[fake_api.image("a.jpg"), fake_api.summary(ok=1)], before=before)
sys.modules["pixel2style2pixel_cli.api"] = pixel2style2pixel_cli.api = fake
main()
"""
SWALLOWED = """
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    except KeyboardInterrupt:
        raise MissingError("the package dlib is not installed", "pip install dlib-bin")
"""
TALKATIVE = """
    for _ in range(3):
        os.write(2, b"TIFFReadDirectory: unknown field \\x1b[2J\\n")
        warnings.warn("this is\\nold", FutureWarning)
    logging.getLogger("somewhere").warning("hm")
    os.write(2, b"x" * 300_000 + b"\\n")
"""


def ended(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment(), cwd=folder, check=False, timeout=60
    )


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_each_signal_ends_with_the_resume_command(tmp_path: Path, name: str, code: int) -> None:
    # nohup is for SIGHUP: what is ignored on purpose stays ignored
    before = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" if name == "SIGINT" else ""
    command = [sys.executable, "-c", before + ENDLESS, "invert", "my photos", "-v", "--existing", "error"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), cwd=tmp_path
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the first picture is done
        if before:
            process.send_signal(signal.SIGHUP)
            process.stderr.readline()
        process.send_signal(getattr(signal, name))
        process.send_signal(getattr(signal, name))  # a second press at once is the same one
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "interrupted; resume with:\n  p2s2p invert --skip-existing 'my photos' -v\n" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["pixel2style2pixel_cli.cli.app", "typer", "pixel2style2pixel_cli.output.progress"])
def test_a_signal_while_the_program_starts_ends_with_the_resume_command(tmp_path: Path, name: str) -> None:
    done = ended(AT_IMPORT.format(name=name), "invert", "a", folder=tmp_path)
    told = "interrupted; resume with:\n  p2s2p invert --skip-existing a\n"
    assert (done.returncode, done.stdout, done.stderr) == (143, "", told)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "name", ["open_standard_streams", "LibraryLines", "run", "Output.__init__", "root_command", "Output.end"]
)
def test_a_signal_at_every_step_of_the_start_and_the_end(tmp_path: Path, name: str, after: bool) -> None:
    done = ended(AT_CALL.format(name=name, after=after), "paste", "none", "there", folder=tmp_path)
    told = "interrupted; resume with:\n  p2s2p paste --skip-existing none there\n"
    assert (done.returncode, done.stdout) == (129, "") and done.stderr.endswith(told)
    assert done.stderr.count("interrupted") == 1 and "Traceback" not in done.stderr


def test_a_signal_while_a_dataclass_is_made_leaves_the_exit_code(tmp_path: Path) -> None:
    """As in the import of a library: after ``python -m`` the interpreter would kill itself for it."""
    stopped = '\n    exec("import os, signal; os.kill(os.getpid(), signal.SIGINT)")\n'
    (tmp_path / "stopped.py").write_text(DOING.format(does=stopped))
    path = f"{tmp_path}{os.pathsep}{environment()['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "stopped", "invert", "a"],
        capture_output=True, text=True, env=environment() | {"PYTHONPATH": path}, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[0]) == (130, "interrupted; resume with:")


def test_a_signal_that_a_library_turns_into_its_own_error(tmp_path: Path) -> None:
    done = ended(DOING.format(does=SWALLOWED), "invert", "a", folder=tmp_path)
    assert done.returncode == 130
    assert done.stderr == "interrupted; resume with:\n  p2s2p invert --skip-existing a\n"


@pytest.mark.parametrize("quiet", [False, True])
def test_what_libraries_say_is_told_once_as_warnings(tmp_path: Path, quiet: bool) -> None:
    done = ended(DOING.format(does=TALKATIVE), "invert", "a", *(["-q"] if quiet else []), folder=tmp_path)
    assert done.returncode == 0
    if quiet:
        assert done.stderr == ""
        return
    *said, long, summary = done.stderr.splitlines()
    assert said == ["warning: TIFFReadDirectory: unknown field \\x1b[2J", "warning: this is old", "warning: hm"]
    assert long.startswith("warning: xxx") and len(long) < 400
    assert summary.startswith("1 written")


@pytest.mark.parametrize("closed", ["0<&- 1>&- 2>&-", "2>&-"])
def test_closed_descriptors_are_not_taken_for_files(tmp_path: Path, closed: str) -> None:
    opens = "\n    made = open('kept.txt', 'w')\n    os.write(2, b'noise')\n    made.write('mine')\n    made.close()\n"
    script = f'exec "$0" "$@" {closed}'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, "-c", DOING.format(does=opens), "invert", "a"],
        env=environment(), cwd=tmp_path, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    assert (tmp_path / "kept.txt").read_text() == "mine"
