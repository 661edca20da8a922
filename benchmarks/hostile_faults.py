"""The faults of machines by name: what is done to a command's folder and process, and the exit codes that are right."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LINE = ["invert", "in", "-o", "out", "--align", "never", "--device", "cpu", "--save-latents"]
JSON = [*LINE, "--json"]
LATIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
GB = 1 << 30
# Lines that run in the process before the program does: what a kernel, a disk or a clock elsewhere would do.
NO_FSYNC = "import os, errno\ndef no(*_): raise OSError(errno.EINVAL, 'no')\nos.fsync = no"
NO_LINKS = "import os, errno\ndef no(*_, **__): raise OSError(errno.EPERM, 'no')\nos.link = no"
NO_RENAME = "import os, errno\ndef no(*_, **__): raise OSError(errno.EACCES, 'no')\nos.link = os.replace = no"
NO_CORES = "import os\nos.cpu_count = lambda: None"
CLOCK = (
    "import itertools, time\ncount, old = itertools.count(), time.time\n"
    "time.time = lambda: old() + (-1) ** next(count) * 4e8"
)
NO_FOLDER = "import os\nos.mkdir('gone')\nos.chdir('gone')\nos.rmdir('../gone')"
NO_INTERPRETER = "import sys\nsys.executable = ''"
DYING = (  # every helper process ends while it prepares an input
    "import os, pickle\nfrom pixel2style2pixel_cli.jobs import helper\nbegin = helper.Helper.__init__\n"
    "def started(self, preparation):\n    begin(self, preparation)\n"
    "    {when}\n        os.kill(self._process.pid, 9)\nhelper.Helper.__init__ = started\n"
)
Doing = Callable[[Path], "contextlib.AbstractContextManager[None]"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault: the command, what is done to its folder and process, and the exit codes that are right."""

    codes: Sequence[int]
    line: Sequence[str] = tuple(LINE)
    command: str = "invert"
    does: Doing = lambda folder: contextlib.nullcontext()
    before: str = ""
    environment: dict[str, str | None] = dataclasses.field(default_factory=dict)
    request: dict[str, Any] = dataclasses.field(default_factory=dict)
    silent: bool = False
    fresh: bool = False  # in an interpreter of its own, where its start is what is tried
    again: bool = True  # whether the same command then makes everything
    says: str = ""


@contextlib.contextmanager
def disk(place: Path, options: str) -> Iterator[None]:
    """A small disk at a folder; the content of the folder comes along."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        left = place.with_name(place.name + ".left")
        shutil.copytree(place, left)
        subprocess.run(["umount", "-l", str(place)], check=True)
        shutil.rmtree(place)
        left.rename(place)


def small_disk(name: str, options: str) -> Doing:
    return lambda folder: disk(folder / name, options)


@contextlib.contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    if not path.exists():
        path.mkdir(parents=True)
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


def modes(name: str, bits: int) -> Doing:
    return lambda folder: mode(folder / name, bits)


@contextlib.contextmanager
def extra(path: Path, make: Callable[[Path], object]) -> Iterator[None]:
    """Something in the way, gone afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    try:
        yield
    finally:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def has(name: str, make: Callable[[Path], object]) -> Doing:
    return lambda folder: extra(folder / name, make)


@contextlib.contextmanager
def meanwhile(work: Callable[[], object], pause: float) -> Iterator[None]:
    """Something that goes on again and again while the command runs."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(pause):
            with contextlib.suppress(OSError):
                work()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def vanishes(folder: Path, name: str, sign: str) -> Iterator[None]:
    """A file or folder of the input that is moved away once the plan has been made, and comes back."""
    aside = folder / "aside"

    def move() -> None:
        if sign in (folder / "err.txt").read_text():
            (folder / name).rename(aside)

    with meanwhile(move, 0.002):
        yield
    if aside.exists():
        aside.rename(folder / name)


def _copied(path: Path) -> None:
    shutil.copy(path.parent / "a.png", path)


def _link(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def _dated(when: float) -> Doing:
    @contextlib.contextmanager
    def dated(folder: Path) -> Iterator[None]:
        for path in folder.rglob("*"):
            os.utime(path, (when, when))
        yield

    return dated


@contextlib.contextmanager
def _both(
    first: contextlib.AbstractContextManager[None], second: contextlib.AbstractContextManager[None]
) -> Iterator[None]:
    with first, second:
        yield


@contextlib.contextmanager
def _zoo(folder: Path, spoil: Callable[[Path], object]) -> Iterator[None]:
    """A zoo of its own whose inversion encoder is spoilt."""
    shutil.copytree(folder.parents[1] / "zoo", folder / "zoo")
    spoil(folder / "zoo" / "tiny-invert" / "encoder.safetensors")
    yield
    shutil.rmtree(folder / "zoo")


OWN: dict[str, Any] = {"powerless": True}
FAULTS: dict[str, Fault] = {
    # disks
    "no byte may be written": Fault(codes=[3], request={"limits": {"FSIZE": 0}}, silent=True),
    "files of 1 kB at most": Fault(codes=[3], request={"limits": {"FSIZE": 1024}}, says="could not be written"),
    "files of 4 kB at most": Fault(codes=[0, 3], request={"limits": {"FSIZE": 4096}}),
    "output disk full": Fault(codes=[3], does=small_disk("out", "size=8k"), says="no space left"),
    "output disk without inodes": Fault(codes=[3], does=small_disk("out", "nr_inodes=3"), says="no space left"),
    "home disk full": Fault(codes=[0], does=small_disk("home", "size=4k,nr_inodes=2")),
    "output folder read-only": Fault(codes=[2], does=modes("out", 0o555), request=OWN, says="not permitted"),
    "output folder without entry": Fault(codes=[2], does=modes("out", 0o600), request=OWN, says="not permitted"),
    "disk mounted read-only": Fault(codes=[2, 3], does=small_disk("out", "ro,size=64k")),
    "home read-only": Fault(codes=[0], does=modes("home", 0o555), request=OWN),
    "home unreadable": Fault(codes=[0], does=modes("home", 0), request=OWN),
    "home is a file": Fault(codes=[0], does=has("home", _text("x"))),
    "output folder is a file": Fault(codes=[2], does=has("out", _text("x")), says="a folder is needed"),
    "output folder is a dangling link": Fault(codes=[2, 3], does=has("out", _link("nowhere"))),
    "output folder is a loop of links": Fault(codes=[2, 3], does=has("out", _link("out"))),
    "an output is a folder": Fault(codes=[2], does=has("out/b.png", Path.mkdir), says="is a folder"),
    "disk cannot sync": Fault(codes=[0], before=NO_FSYNC),
    "disk knows no links": Fault(codes=[0], before=NO_LINKS),
    "disk does not rename": Fault(codes=[3], before=NO_RENAME, says="not permitted"),
    # inputs
    "an input unreadable": Fault(codes=[3], does=modes("in/b.png", 0), request=OWN, says="in/b.png"),
    "input folder unreadable": Fault(codes=[3, 2], does=modes("in", 0), request=OWN, says="in"),
    "a subfolder unreadable": Fault(codes=[3], line=[*LINE, "-r"], does=modes("in/sub", 0), request=OWN, says="sub"),
    "an input is a dangling link": Fault(codes=[3], does=has("in/d.png", _link("no")), says="d.png"),
    "an input is a loop of links": Fault(codes=[3], does=has("in/l.png", _link("l.png")), says="l.png"),
    "an input is a pipe nobody writes to": Fault(codes=[0, 3], does=has("in/p.png", os.mkfifo)),
    "an input is an endless device": Fault(codes=[3, 0], does=has("in/z.png", _link("/dev/zero"))),
    "an input vanishes": Fault(codes=[0, 3], does=lambda f: vanishes(f, "in/b.png", "model:")),
    "the input folder vanishes": Fault(codes=[0, 3], does=lambda f: vanishes(f, "in", "model:")),
    "the output folder vanishes again and again": Fault(
        codes=[0, 3], does=lambda f: meanwhile(lambda: shutil.rmtree(f / "out"), 0.01)
    ),
    "a name that is no text": Fault(
        codes=[0], does=has("in/\udcff\udcfe.png", _copied), again=False
    ),
    "a name of control characters": Fault(
        codes=[0], does=has("in/\x1b[2J\n.png", _copied), again=False
    ),
    "an input name over 255 bytes": Fault(codes=[3], line=[*LINE, "n" * 300 + ".png"], says="nnn"),
    "an output name over 255 bytes": Fault(codes=[2, 3], line=[*LINE, "--name", "{stem}" + "n" * 300], says="255"),
    "a path over 4096 bytes": Fault(codes=[2, 3], line=[*LINE[:2], "-o", "d/" * 2100, *LINE[4:]]),
    "files of the year 2242": Fault(codes=[0], does=_dated(8.6e9)),
    "files before 1970": Fault(codes=[0], does=_dated(-1e6)),
    # settings
    "configuration unreadable": Fault(
        codes=[0], does=lambda f: _both(extra(f / "p2s2p.toml", _text("x")), mode(f / "p2s2p.toml", 0)), request=OWN
    ),
    "configuration is a folder": Fault(codes=[0, 2], does=has("p2s2p.toml", Path.mkdir)),
    "configuration is binary": Fault(codes=[2], does=has("p2s2p.toml", lambda p: p.write_bytes(bytes(9))), says="toml"),
    "configuration never ends": Fault(codes=[2], does=has("p2s2p.toml", _link("/dev/zero"))),
    "no zoo": Fault(codes=[2], environment={"P2S2P_ZOO": "/nowhere"}),
    "weights unreadable": Fault(
        codes=[4], does=lambda f: _zoo(f, lambda p: p.chmod(0)), environment={"P2S2P_ZOO": "zoo"}, request=OWN
    ),
    "weights cut short": Fault(
        codes=[4], does=lambda f: _zoo(f, lambda p: os.truncate(p, 999)), environment={"P2S2P_ZOO": "zoo"}
    ),
    "weights vanished": Fault(codes=[4], does=lambda f: _zoo(f, Path.unlink), environment={"P2S2P_ZOO": "zoo"}),
    "no HOME": Fault(codes=[0], environment={"HOME": None, "XDG_CONFIG_HOME": None, "P2S2P_HOME": None}),
    "HOME of nobody": Fault(codes=[0], environment={"HOME": "/nonexistent", "P2S2P_HOME": None}, request=OWN),
    "HOME is a device": Fault(codes=[0], environment={"HOME": "/dev/null", "P2S2P_HOME": None}),
    "HOME is not absolute": Fault(codes=[0], environment={"HOME": "home", "P2S2P_HOME": None}),
    "working folder deleted": Fault(fresh=True, codes=[2, 3], before=NO_FOLDER),
    "no temporary folder": Fault(codes=[0], environment={"TMPDIR": "/nowhere"}),
    "locale C, names in ASCII only": Fault(fresh=True,
        codes=[0], environment=dict(LATIN), does=has("in/é.png", _copied), again=False
    ),
    "a locale that is not installed": Fault(fresh=True, codes=[0], environment={"LC_ALL": "xx.klingon", "LANG": "?"}),
    "terminal without abilities": Fault(codes=[0], environment={"TERM": "dumb"}),
    "no terminal, no TERM": Fault(codes=[0], environment={"TERM": None, "COLUMNS": "0", "LINES": "-1"}),
    "COLUMNS is no number": Fault(fresh=True, codes=[0], environment={"COLUMNS": "many", "FORCE_COLOR": "1"}),
    "number of threads is no number": Fault(fresh=True, codes=[0], environment={"OMP_NUM_THREADS": "many"}),
    "zero threads": Fault(fresh=True, codes=[0], environment={"OMP_NUM_THREADS": "0", "MKL_NUM_THREADS": "-3"}),
    "time zone of nowhere": Fault(codes=[0], environment={"TZ": ":/nowhere"}),
    "nothing is permitted to new files": Fault(codes=[0, 2, 3], request={"umask": 0o777, **OWN}, again=False),
    "the clock jumps": Fault(codes=[0], before=CLOCK),
    "number of cores unknown": Fault(codes=[0], before=NO_CORES),
    # streams
    "standard input closed": Fault(fresh=True, codes=[0], request={"stdin": "closed"}),
    "standard input closed, and read": Fault(codes=[3], line=["invert", "-", *LINE[2:]], request={"stdin": "closed"}),
    "standard output closed": Fault(fresh=True, codes=[0], request={"stdout": "closed"}),
    "standard output closed, JSON": Fault(codes=[3], line=JSON, request={"stdout": "closed"}, says="standard output"),
    "standard error closed": Fault(fresh=True, codes=[0], request={"stderr": "closed"}),
    "all streams closed": Fault(fresh=True, codes=[0], request=dict.fromkeys(("stdin", "stdout", "stderr"), "closed")),
    "standard output full, JSON": Fault(codes=[3], line=JSON, request={"stdout": "/dev/full"}, says="standard output"),
    "standard error full": Fault(codes=[0], request={"stderr": "/dev/full"}),
    "both full, JSON": Fault(codes=[3], line=JSON, request={"stdout": "/dev/full", "stderr": "/dev/full"}, silent=True),
    "nobody reads standard output": Fault(codes=[130], line=JSON, request={"stdout": "pipe"}, silent=True),
    "nobody reads standard error": Fault(codes=[0], line=[*LINE, "-v"], request={"stderr": "pipe"}, silent=True),
    # limits
    "20 open files": Fault(fresh=True, codes=[0, 3, 4], request={"limits": {"NOFILE": 20}}),
    "9 open files": Fault(fresh=True, codes=[0, 1, 3, 4], request={"limits": {"NOFILE": 9}}),
    "no further thread": Fault(fresh=True, codes=[0, 3, 4, 5], request={"limits": {"NPROC": 1}, "user": 61234}),
    "two further threads": Fault(fresh=True, codes=[0, 3, 4, 5], request={"limits": {"NPROC": 3}, "user": 61234}),
    "400 MB of memory": Fault(fresh=True, codes=[3, 4, 5], request={"limits": {"AS": 400 << 20}}),
    "1 GB of memory": Fault(fresh=True, codes=[0, 3, 4, 5], request={"limits": {"AS": GB}}),
    "2 GB of memory": Fault(fresh=True, codes=[0, 3, 4, 5], request={"limits": {"AS": 2 * GB}}),
    "one second of work": Fault(fresh=True, codes=[0, -24, -9, 152], request={"limits": {"CPU": 1}}, silent=True),
    "a small stack": Fault(fresh=True, codes=[0, 3], request={"limits": {"STACK": 256 << 10}}),
    # helper processes
    "a helper dies": Fault(codes=[0], command="many", before=DYING.format(when="if self._process.pid % 2:")),
    "every helper dies": Fault(codes=[0], command="many", before=DYING.format(when="if True:")),
    "helpers cannot start": Fault(codes=[0], command="many", before=NO_INTERPRETER),
    # other commands
    "paste onto a full disk": Fault(command="paste", codes=[3], does=small_disk("out", "size=8k"), says="space"),
    "import onto a full disk": Fault(command="models import", codes=[3], does=small_disk("home", "size=64k")),
    "import, home read-only": Fault(command="models import", codes=[3], does=modes("home", 0o555), request=OWN),
    "import of short files only": Fault(command="models import", codes=[3], request={"limits": {"FSIZE": 9000}}),
    "blend onto a full disk": Fault(command="models blend", codes=[3], does=small_disk("home", "size=32k")),
    "pull onto a full disk": Fault(command="models pull", codes=[3], does=small_disk("home", "size=64k")),
    "pull of short files only": Fault(command="models pull", codes=[3], request={"limits": {"FSIZE": 9000}}),
    "training onto a full disk": Fault(command="train encoder", codes=[3], does=small_disk("run", "size=64k")),
    "training of short files only": Fault(command="train encoder", codes=[3], request={"limits": {"FSIZE": 9000}}),
    "run folder read-only": Fault(command="train encoder", codes=[2, 3], does=modes("run", 0o555), request=OWN),
}  # fmt: skip
