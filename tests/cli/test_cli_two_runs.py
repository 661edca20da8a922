"""Two runs at once in one folder: no output is lost, and each one that is reported has its own content."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from real_run import write_photos

from pixel2style2pixel_cli.files.image import read_metadata

EIGHT = [f"{n}.png" for n in range(8)]
ONCE = ("--align", "never", "--device", "cpu", "--json", "-q")


def start(zoo: Path, home: Path, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A command of its own, as a second terminal would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "pixel2style2pixel_cli", *arguments, *ONCE],
        cwd=folder,
        env={**os.environ, "P2S2P_ZOO": str(zoo), "P2S2P_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("existing", ["rename", "error", "skip"])
def test_equal_names_of_different_inputs(tmp_path: Path, tiny_zoo: Path, checked_home: Path, existing: str) -> None:
    for number, name in enumerate("ab"):
        write_photos(tmp_path / name, [f"{n}/x.png" for n in range(number)] + EIGHT)
    options = ("-o", "out", "--existing", existing, "--save-latents", "--mix-seed", "0-1")
    runs = [start(tiny_zoo, checked_home, tmp_path, "invert", name, *options) for name in "ab"]
    written: Counter[Path] = Counter()
    for name, run in zip("ab", runs, strict=True):
        out, err = run.communicate(timeout=300)
        assert run.returncode in ((0, 2, 3) if existing == "error" else (0,)), err.decode()
        rows = [row for row in map(json.loads, out.splitlines()) if row.get("event") == "image"]
        assert existing == "error" or len(rows) == 16
        for row in rows:
            if row["status"] != "ok":
                assert row["status"] == ("skipped" if existing == "skip" else "failed")
                assert existing == "skip" or "was written by another run in the meantime" in row["message"]
                continue
            own = hashlib.sha256((tmp_path / row["input"]).read_bytes()).hexdigest()
            assert row["input"].startswith(f"{name}/")
            for path in (tmp_path / row["output"], tmp_path / row["latent"]):
                written[path] += 1
                data = path.read_bytes()
                text = read_metadata(path)[0] or "" if path.suffix == ".png" else data.decode("latin-1")
                assert own in text, f"{path} is not of {row['input']}"
    assert set(written.values()) == {1}, "two runs report the same file"
    assert set(written) == set((tmp_path / "out").iterdir())
    assert len(written) == (64 if existing == "rename" else 32)


def test_one_folder_shared_by_two_runs_of_the_same_inputs(tmp_path: Path, tiny_zoo: Path, checked_home: Path) -> None:
    write_photos(tmp_path / "in", EIGHT)
    options = ("in", "-o", "out", "--skip-existing", "--mix-seed", "0-1")
    runs = [start(tiny_zoo, checked_home, tmp_path, "invert", *options) for _ in range(2)]
    counts = Counter[str]()
    for run in runs:
        out, err = run.communicate(timeout=300)
        assert run.returncode == 0, err.decode()
        counts += Counter(json.loads(line).get("status") for line in out.splitlines())
    assert (counts["ok"], counts["skipped"]) == (16, 16)
    assert len(list((tmp_path / "out").iterdir())) == 16
