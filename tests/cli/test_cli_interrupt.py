"""A run that is killed or interrupted leaves whole files, and the same command finishes it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from real_run import Call, contents, write_photos

ROOT = Path(__file__).parents[2]
NAMES = [f"{number:02d}.png" for number in range(16)]
# slow enough to be caught in the middle, by one picture at a time
OPTIONS = ("invert", "in", "-o", "out", "--align", "never", "--batch-size", "1", "--optimize", "6", "--save-latents")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


def start_and_stop(number: signal.Signals) -> tuple[int, str]:
    """Run in a process of its own and send it the signal after the second picture."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment |= {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pixel2style2pixel_cli", *OPTIONS]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        limit = time.monotonic() + 120
        while len(list(Path("out").glob("*.png"))) < 2:
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.005)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    return process.returncode, err


def whole_pictures(folder: Path) -> list[str]:
    """Names of the pictures there, each decoded to its end."""
    found = sorted(path for path in (folder / "out").iterdir() if path.suffix == ".png" and path.name[0] != ".")
    for path in found:
        Image.open(path).load()
        assert path.with_suffix(".safetensors").is_file()
    return [path.name for path in found]


def test_killed_run_is_completed(real: Call, folder: Path) -> None:
    write_photos(folder / "in", NAMES)
    code, _ = start_and_stop(signal.SIGKILL)
    assert code == -signal.SIGKILL
    kept = whole_pictures(folder)
    assert 2 <= len(kept) < len(NAMES)
    resumed = real(*OPTIONS, "--skip-existing", "--json")
    assert (resumed.code, resumed.rows[-1]["skipped"]) == (0, len(kept))
    assert "warning" not in resumed.err
    assert real("invert", "in", "-o", "whole", *OPTIONS[4:]).code == 0
    assert contents(folder / "out") == contents(folder / "whole")


def test_interrupted_run_leaves_nothing_half_written(real: Call, folder: Path) -> None:
    write_photos(folder / "in", NAMES)
    code, err = start_and_stop(signal.SIGINT)
    assert code == 130 and "Traceback" not in err
    kept = whole_pictures(folder)
    assert 2 <= len(kept) < len(NAMES)
    assert not [name for name in contents(folder / "out") if name.endswith(".part") or name.startswith(".")]
    before, after = err.split("interrupted; resume with:\n")
    words = shlex.split(after)
    assert words == ["p2s2p", "invert", "--skip-existing", *OPTIONS[1:]] and "error" not in before
    assert real(*words[1:]).code == 0
    assert len(whole_pictures(folder)) == len(NAMES)
