"""``--skip-existing``: what is kept, what is made again, what is noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from real_run import Call, contents, times, two_faces, write_photos
from task_inputs import write_mask

from pixel2style2pixel_cli.files.atomic import PART_SUFFIX, hidden_beside


def test_what_is_damaged_or_missing_is_made_again(real: Call, folder: Path) -> None:
    two_faces().save(folder / "two.png")
    several = ("--face", "all")
    line = ("invert", "two.png", "-o", "out", "--save-latents")
    for options in ((), several, (*several, "--mix-seed", "1-2", "--grid", "row", "--preview-input")):
        assert real(*line, *options).code == 0
        before, written = contents(folder / "out"), times(folder / "out")
        nothing = real(*line, *options, "--skip-existing")
        assert nothing.code == 0 and "0 written" in nothing.err and times(folder / "out") == written
        for number, (name, data) in enumerate(sorted(before.items())):
            path, damage = folder / "out" / name, (None, b"", data[: len(data) // 2])[number % 3]
            path.unlink() if damage is None else path.write_bytes(damage)
            again = real(*line, *options, "--skip-existing")
            assert again.code == 0 and again.err.count("is made again") == (damage is not None), again.err
            assert damage is None or f"out/{name} " in again.err
            assert contents(folder / "out") == before
        shutil.rmtree(folder / "out")


@pytest.mark.parametrize("out", ["photos", "photos/out"])
@pytest.mark.parametrize("metadata", ["--metadata", "--no-metadata"])
def test_an_output_folder_among_the_inputs_works_the_second_time_too(
    real: Call, folder: Path, out: str, metadata: str
) -> None:
    write_photos(folder / "photos", ["a.jpg", "sub/b.jpg"])
    line = ("invert", "photos", "-r", "-o", out, "--align", "never", metadata, "--grid", "sheet", "--preview-input")
    assert real(*line).code == 0
    before = contents(folder)
    assert len(before) == 2 + 2 * 2 + 1
    again = real(*line, "-q")
    assert again.code == 2 and "outputs exist already" in again.problems[0][0]
    resumed = real(*line, "--skip-existing")
    assert resumed.code == 0 and "2 skipped" in resumed.err
    assert contents(folder) == before
    assert real(*line, "--overwrite").code == 0 and contents(folder) == before


def test_a_changed_mask_is_noticed(real: Call, folder: Path, task_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2S2P_ZOO", str(task_zoo))
    write_photos(folder / "in", ["a.png", "b.png"])
    (folder / "masks").mkdir()
    for name, box in (
        ("masks/a.png", (30, 30, 90, 60)),
        ("masks/b.png", (30, 30, 90, 60)),
        ("one.png", (9, 9, 50, 50)),
    ):
        write_mask(folder / name, box=box)
    for mask, changed, count in (("masks", "masks/b.png", 1), ("one.png", "one.png", 2)):
        line = ("inpaint", "in", "--align", "never", "--mask", mask, "-o", f"out_{count}")
        assert real(*line).code == 0
        same = real(*line, "--skip-existing")
        assert same.code == 0 and "2 skipped" in same.err and "kept, but" not in same.err
        write_mask(folder / changed, box=(20, 50, 90, 100))
        other = real(*line, "--skip-existing")
        assert other.code == 0 and other.err.count("kept, but made with other options") == count


def test_a_run_with_nothing_to_do_loads_no_heavy_library(real: Call, folder: Path) -> None:
    write_photos(folder / "in", ["a.png", "b.png"])
    line = ["invert", "in", "-o", "out", "--align", "never"]
    assert real(*line).code == 0
    code = (
        "import sys; from pixel2style2pixel_cli.cli.app import run; code = run(sys.argv[1:]);"
        "sys.exit(code or ' '.join({'torch', 'numpy', 'PIL', 'dlib'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *line, "--skip-existing"],
        check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0 and "0 written, 2 skipped" in done.stderr, done.stderr


def test_an_input_that_cannot_be_drawn_costs_no_other(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pixel2style2pixel_cli.tasks.translate import Translator

    encode, names = Translator.encode, [f"{n}.png" for n in range(4)]
    write_photos(folder / "in", names)
    Image.new("RGB", (64, 64), (0, 0, 0)).save(folder / "in" / "2.png")

    def fail(self: Translator, prepared: list[Any]) -> object:
        if any(not each.crop.any() for each in prepared):
            raise ValueError("a bug")
        return encode(self, prepared)

    monkeypatch.setattr(Translator, "encode", fail)
    result = real("invert", "in", "-o", "out", "--align", "never", "--json")
    assert result.code == 3
    statuses = {row["input"]: row["status"] for row in result.rows if row["event"] == "image"}
    assert statuses == {f"in/{name}": "failed" if name == "2.png" else "ok" for name in names}


@pytest.mark.skipif(os.name == "nt", reason="no way to ask for a process that does not end it")
@pytest.mark.parametrize("command", ["invert", "paste"])
def test_a_run_with_nothing_left_to_do_removes_what_a_kill_left(real: Call, folder: Path, command: str) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    two_faces().save(folder / "a.png")
    assert real("invert", "a.png", "-o", "made").code == 0
    line = {"invert": ("invert", "a.png", "-o", "made"), "paste": ("paste", "made", "a.png", "-o", "pasted")}[command]
    assert command == "invert" or real(*line).code == 0
    out = folder / line[-1]
    left = out / hidden_beside(out / "a.png", PART_SUFFIX).name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    left.write_bytes(b"half")
    done = real(*line, "--skip-existing")
    assert (done.code, list(out.glob(".*"))) == (0, [])
