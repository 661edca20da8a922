"""One process at a time in a run folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from pixel2style2pixel_cli.errors import OutputError, UsageError
from pixel2style2pixel_cli.training.lock import hold_run

OTHER = """
import sys
from pathlib import Path
from pixel2style2pixel_cli.training.lock import hold_run
with hold_run(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match=r"another p2s2p is training in .*one") as caught, hold_run(run):
        pass
    assert "--out" in caught.value.hint
    with hold_run(tmp_path / "runs" / "two"):
        pass
    other.kill()
    other.communicate()
    with hold_run(run):
        pass
    with hold_run(run):  # and it can be resumed
        pass


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be a run folder"), hold_run(tmp_path / "file" / "run"):
        pass


@pytest.mark.parametrize("error", [OSError(37, "No locks available"), NotImplementedError("flock")])
def test_a_disk_without_locks_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", fail)
    with hold_run(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()
