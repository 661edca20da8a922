"""A write is whole or absent, whatever interrupts it."""

import errno
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pixel2style2pixel_cli.errors import OutputError
from pixel2style2pixel_cli.files.atomic import TakenError, remove_abandoned, write_atomic, write_together


def left_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def failing(error: BaseException) -> Callable[..., int]:
    def fail(*args: object) -> int:
        raise error

    return fail


def test_makes_parents_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "x.png"
    write_atomic(target, b"one")
    write_atomic(target, b"two")
    assert left_in(target.parent) == {"x.png": b"two"}


def test_permissions_follow_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "x", b"1")
    finally:
        os.umask(before)
    if sys.platform != "win32":
        assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("existed", [False, True])
def test_interrupt_at_any_step_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, existed: bool
) -> None:
    if existed:
        (tmp_path / "x.png").write_bytes(b"old")
    before = left_in(tmp_path)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, step, failing(KeyboardInterrupt()))
        write_atomic(tmp_path / "x.png", b"new")
    assert left_in(tmp_path) == before


def create(path: Path, data: bytes) -> None:
    write_together([(path, data)], may_replace=lambda path: False)


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a memory card: neither links nor, on Windows, the renaming that takes their place."""
    monkeypatch.setattr(os, "link", failing(OSError(errno.EPERM, "Operation not permitted")))
    monkeypatch.setattr(sys, "platform", "linux")


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_created_only_where_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        without_links(monkeypatch)
    create(tmp_path / "a" / "x.png", b"first")
    with pytest.raises(TakenError, match=r"x\.png was written by another run in the meantime") as caught:
        create(tmp_path / "a" / "x.png", b"second")
    assert "--existing rename" in caught.value.hint
    assert left_in(tmp_path / "a") == {"x.png": b"first"}


@pytest.mark.parametrize("links", [True, False])
def test_files_that_belong_together_are_created_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        without_links(monkeypatch)
    old, new = tmp_path / "old", [(tmp_path / name, name.encode()) for name in ("x.safetensors", "old", "x.png")]
    old.write_bytes(b"before")
    write_together(new, may_replace=old.__eq__)
    assert left_in(tmp_path) == {"x.safetensors": b"x.safetensors", "old": b"old", "x.png": b"x.png"}
    (tmp_path / "x.safetensors").unlink()
    with pytest.raises(TakenError):
        write_together(new, may_replace=old.__eq__)
    assert left_in(tmp_path) == {"old": b"old", "x.png": b"x.png"}  # the code went again: its picture is another's


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace", "link"])
def test_interrupt_while_a_file_is_created_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, links: bool
) -> None:
    if links and step == "replace":
        return
    if not links:
        without_links(monkeypatch)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, step, failing(KeyboardInterrupt()))
        create(tmp_path / "x.png", b"new")
    assert left_in(tmp_path) == {}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_to_nothing_has_its_name_as_well(tmp_path: Path) -> None:
    (tmp_path / "x.png").symlink_to("gone")
    with pytest.raises(TakenError):
        create(tmp_path / "x.png", b"1")
    assert not (tmp_path / "gone").exists()


def test_a_network_disk_that_reports_its_own_first_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link

    def twice(part: Path, path: Path) -> None:
        real(part, path)
        real(part, path)

    monkeypatch.setattr(os, "link", twice)
    monkeypatch.setattr(sys, "platform", "linux")
    create(tmp_path / "x.png", b"1")
    assert left_in(tmp_path) == {"x.png": b"1"}


def test_disk_that_fills_up_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, written = os.write, 0

    def short(handle: int, data: memoryview) -> int:
        nonlocal written
        if written >= 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        written += 5
        return real(handle, data[:5])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OutputError, match=r"no space left .*x\.png") as caught:
        write_atomic(tmp_path / "x.png", bytes(100))
    monkeypatch.undo()
    assert "--skip-existing" in caught.value.hint
    assert left_in(tmp_path) == {}


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:7]))
    data = bytes(range(100))
    write_atomic(tmp_path / "x", data)
    assert (tmp_path / "x").read_bytes() == data


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limit to set")
def test_real_limit_on_file_size(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutputError, match="could not be written: file too large"):
            write_atomic(tmp_path / "x", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left_in(tmp_path) == {}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_not_permitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "open", failing(OSError(number, "no")))
    with pytest.raises(OutputError, match="not permitted to write"):
        write_atomic(tmp_path / "x", b"1")


def test_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_atomic(tmp_path / "x.png", b"1")
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"text")
    for target in (tmp_path / "out" / "x.png", tmp_path / "out" / "sub" / "x.png"):
        with pytest.raises(OutputError, match="is a file or lies below one"):
            write_atomic(target, b"1")
    assert left_in(tmp_path) == {"out": b"text"}


def test_longest_names(tmp_path: Path) -> None:
    for name in ("n" * 251 + ".png", "ü" * 125 + ".png"):  # 255 and 254 bytes: the temporary name must not be longer
        write_atomic(tmp_path / name, b"1")
        assert (tmp_path / name).exists()
    with pytest.raises(OutputError, match="too long"):
        write_atomic(tmp_path / ("n" * 252 + ".png"), b"1")
    assert len(left_in(tmp_path)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_link_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_atomic(tmp_path / "link", b"new")
    assert left_in(tmp_path) == {"real": b"old", "link": b"new"}


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be asked for there")
def test_only_what_dead_processes_of_this_machine_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: "studio-1.local")
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    monkeypatch.setattr(os, "replace", failing(SystemExit(1)))
    monkeypatch.setattr(Path, "unlink", lambda self: None)  # killed: nothing is tidied up
    for process in (ended.pid, os.getpid()):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        with pytest.raises(SystemExit):
            write_atomic(tmp_path / "photo.png", b"half")
    monkeypatch.undo()
    (tmp_path / f".photo.png.studio2-{ended.pid}-0123abcd.part").write_bytes(b"another machine's")
    (tmp_path / "notes.part").write_bytes(b"the user's")
    assert len(left_in(tmp_path)) == 4
    monkeypatch.setattr(platform, "node", lambda: "studio-1.local")
    remove_abandoned([tmp_path, tmp_path / "absent"])
    names = set(left_in(tmp_path))
    assert len(names) == 3
    assert not any(f"studio1local-{ended.pid}-" in name for name in names)


@pytest.mark.skipif(os.name == "nt", reason="no way to ask for a process that does not end it")
def test_the_next_file_in_a_folder_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    kill = "import os; os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
    write = "from pathlib import Path\nfrom pixel2style2pixel_cli.files.atomic import write_atomic\n"
    write += "write_atomic(Path('a'), b'x')"
    subprocess.run([sys.executable, "-c", kill + write], cwd=tmp_path, env=with_package(), check=False)
    assert len(left_in(tmp_path)) == 1
    write_atomic(tmp_path / "b", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def with_package() -> dict[str, str]:
    """Variables with which another process finds the package that is tested."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
