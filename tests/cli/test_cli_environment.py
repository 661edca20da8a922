"""Machines that are set up in other ways: no home, no working folder, names no disk takes, disks that cannot sync."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from real_run import Call, write_photos

from pixel2style2pixel_cli.cli.machine import machine_error
from pixel2style2pixel_cli.files import atomic

LONG = "n" * 300
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX folders")


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (["invert", LONG, "-o", "out", "--align", "never"], 3),
        (["invert", "a.png", "-o", f"{LONG}/x", "--align", "never"], 3),
        (["invert", "a.png", "-o", f"{LONG}.png", "--align", "never"], 3),
        (["invert", "a.png", "--model", LONG], 4),
        (["invert", "a.png", "--model", f"./{LONG}"], 4),
        (["invert", "a.png", "--config", LONG], 2),
        (["invert", f"@{LONG}"], 2),
        (["inpaint", "a.png", "--mask", LONG], 2),
        (["mix", LONG, "a.png"], 3),
        (["mix", "a.png", LONG, "--align", "never"], 3),
        (["show", LONG], 2),
        (["models", "show", LONG], 4),
        (["models", "verify", LONG], 4),
        (["models", "import", "new", LONG], 2),
        (["models", "blend", LONG, "tiny-generator", "new"], 4),
        (["models", "remove", LONG], 2),
        (["train", "generator", "--data", LONG, "--out", "run"], 2),
        (["train", "generator", "--data", ".", "--out", LONG, "--check"], 2),
        (["train", "encoder", "--task", "invert", "--data", ".", "--out", "run", "--generator", LONG], 4),
    ],
    ids=lambda value: " ".join(value).replace(LONG, "LONG") if isinstance(value, list) else str(value),
)
def test_a_name_no_disk_takes_is_two_lines(real: Call, folder: Path, typed: list[str], code: int) -> None:
    write_photos(folder, ["a.png"])
    done = real(*typed)
    assert "Traceback" not in done.err
    lines = [line.split(":")[0] for line in done.err.splitlines()]
    assert lines.count("error") == lines.count("hint") == 1, done.err
    assert done.code in (code, 2, 3, 4), done.err


@pytest.mark.parametrize("home", [LONG, "file/below"])
def test_a_home_that_cannot_be_used_costs_a_task_nothing(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    write_photos(folder, ["a.png"])
    (folder / "file").write_text("no folder")
    monkeypatch.setenv("P2S2P_HOME", home)
    assert real("invert", "a.png", "-o", "out", "--align", "never").code == 0
    assert real("models", "list").code == 0
    refused = real("models", "blend", "tiny-generator", "tiny-generator", "new", "--at", "8")
    ((error, _),) = refused.problems
    assert refused.code in (2, 3) and home.split("/")[0] in error


@POSIX
def test_the_home_of_nobody_is_named(real: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2S2P_HOME", "~nosuchuser/x")
    done = real("models", "list")
    assert (done.code, done.problems) == (
        2, [("P2S2P_HOME is ~nosuchuser/x, and nobody has that home folder", "give a full path")]
    )  # fmt: skip


@POSIX
def test_no_home_folder_at_all(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(folder, ["a.png"])
    for name in ("HOME", "P2S2P_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda number: (_ for _ in ()).throw(KeyError(number)))
    assert real("invert", "a.png", "-o", "out", "--align", "never").code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "out"]  # nothing is called ~


@POSIX
def test_a_working_folder_that_is_gone(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png"])
    gone = folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    shutil.rmtree(gone)
    try:
        done = real("invert", folder / "a.png", "-o", folder / "out", "--align", "never")
        relative = real("invert", "a.png", "-o", "out", "--align", "never")
    finally:
        os.chdir(folder)
    for each in (done, relative):
        assert "Traceback" not in each.err
    assert done.code == 0 or "the folder you are in does not exist any more" in done.err
    assert relative.code != 0 and relative.err.count("error:") == 1


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_disk_that_cannot_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic.os, "fsync", refuse)
    atomic.write_atomic(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions that hold")
def test_a_home_that_may_not_be_read(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(folder, ["a.png"])
    (folder / "home").mkdir(mode=0)
    monkeypatch.setenv("P2S2P_HOME", str(folder / "home"))
    monkeypatch.setenv("HOME", str(folder / "home"))
    assert real("invert", "a.png", "-o", "out", "--align", "never").code == 0


def test_configuration_that_may_not_be_read_counts_as_absent(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(folder, ["a.png"])
    (folder / "p2s2p.toml").write_text("[invert]\nseed = 'x'\n")
    readable: Callable[..., bool] = os.access
    monkeypatch.setattr(os, "access", lambda path, *rest: "p2s2p.toml" not in str(path) and readable(path, *rest))
    assert real("invert", "a.png", "-o", "out", "--align", "never").code == 0
    assert real("invert", "a.png", "-o", "out", "--config", "p2s2p.toml").code == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there, whatever the locale")
def test_names_beyond_ascii_on_a_machine_that_knows_ascii_only(folder: Path) -> None:
    code = (
        "import os\nfrom pathlib import Path\nfrom pixel2style2pixel_cli.files.atomic import write_atomic\n"
        r"write_atomic(Path(os.fsdecode(b'\xc3\xa9.png')), b'whole'); write_atomic(Path(os.fsdecode(b'\xff')), b'too')"
    )
    latin = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = {**os.environ, **latin, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, check=False)
    assert done.stderr == b"" and sorted(os.fsencode(path.name) for path in folder.iterdir()) == [
        b"\xc3\xa9.png",
        b"\xff",
    ]


def test_weights_that_may_not_be_read_are_named(
    real: Call, folder: Path, tiny_zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(folder, ["a.png"])
    zoo = shutil.copytree(tiny_zoo, folder / "zoo")
    monkeypatch.setenv("P2S2P_ZOO", str(zoo))
    opened = Path.open

    def refuse(path: Path, *rest: object, **options: object) -> object:
        if path.name == "encoder.safetensors":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *rest, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    done = real("invert", "a.png", "-o", "out", "--align", "never", "-q")
    ((error, hint),) = done.problems
    assert done.code == 4 and error.endswith("encoder.safetensors cannot be read: permission denied")
    assert hint == "make the file readable"


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_a_machine_that_starts_no_further_thread(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    write_photos(folder / "in", ["a.png", "b.png"])
    start, left = threading.Thread.start, [threads]

    def limited(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    done = real("invert", "in", "-o", "out", "--align", "never")
    monkeypatch.undo()
    lines = done.err.splitlines()
    assert done.code == 5 and "Traceback" not in done.err
    assert lines[-2:] == [
        "error: this machine lets the command start no further thread",
        "hint: allow more processes: ulimit -u, or the limit of the container (--pids-limit)",
    ]
    assert not list(folder.rglob(".*.part"))


@pytest.mark.parametrize(
    ("error", "is_ours"),
    [
        (ImportError("libtorch_python.so: failed to map segment from shared object"), True),
        (ImportError("x.so: cannot allocate memory in static TLS block"), True),
        (MemoryError(), True),
        (ImportError("No module named 'torch'"), False),
    ],
)
def test_no_room_for_a_library_is_a_lack_of_memory(error: Exception, is_ours: bool) -> None:
    found = machine_error(error)
    assert (found is not None) == is_ours
    assert found is None or (found.exit_code == 5 and "too little free memory" in found.message)
