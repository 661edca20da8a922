"""What is plainly wrong with a command's files is told before a model is loaded for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from real_run import Call, contents
from task_inputs import write_inputs, write_mask

from pixel2style2pixel_cli.session import Session

NAMES = ("a.png", "b.png")

# the command line, and the error
WRONG = [
    ("inpaint in/a.png --mask missing.png", 2, "the mask missing.png does not exist"),
    ("inpaint in/a.png --mask masks", 3, "no mask for in/a.png in masks"),
    ("inpaint in/a.png --mask text.png", 3, "text.png is a text file"),
    ("inpaint in/a.png --mask notes.txt", 3, "notes.txt is a text file"),
    ("inpaint in/a.png --mask grey.png", 3, "grey.png is not a mask: 100% of its pixels"),
    ("inpaint in/a.png --mask black.png", 3, "black.png covers nothing"),
    ("inpaint in/a.png --mask cut.png", 3, "cut.png is damaged"),
    ("inpaint in/a.png --mask-colour nocolour", 2, "'nocolour' is not a colour"),
    ("embed in/a.png --mask missing.png", 2, "the mask missing.png does not exist"),
    ("embed in/a.png --mask masks", 3, "no mask for in/a.png in masks"),
    ("embed in/a.png --mask grey.png", 3, "grey.png is not a mask"),
    ("mix in/a.png missing.png", 3, "missing.png does not exist"),
    ("mix missing.png in/a.png", 3, "missing.png does not exist, and every output needs it"),
    ("mix notes.txt in/a.png", 3, "notes.txt is a text file"),
    ("transfer in/a.png missing.png", 3, "missing.png does not exist"),
    ("transfer missing.png in/a.png", 3, "missing.png does not exist"),
    ("transfer page.png in/a.png", 3, "page.png is a web page"),
    ("expression in/a.png in/b.png missing.png", 3, "missing.png does not exist"),
    ("expression in/a.png missing.png in/b.png", 3, "missing.png does not exist"),
    ("expression in/a.png notes.txt in/b.png", 3, "notes.txt is a text file"),
    ("morph in/a.png missing.png", 3, "missing.png does not exist"),
    ("morph in/a.png in/b.png text.png", 3, "text.png is a text file"),
    ("seg2face missing.png", 3, "missing.png does not exist"),
    ("seg2face in/a.png --labels missing.toml", 2, "unknown label schema 'missing.toml'"),
    ("edit in/a.png --direction missing.safetensors", 3, "missing.safetensors does not exist"),
    ("edit in/a.png --direction notes.txt", 2, "no direction is called 'notes.txt'"),
    ("tune in/a.png missing.png", 3, "missing.png does not exist"),
    ("tune in/a.png notes.txt", 3, "notes.txt is a text file"),
    ("tune in/a.png --pivot missing.safetensors", 3, "the pivot missing.safetensors does not exist"),
    ("tune in --pivot code.safetensors", 2, "1 pivots for 2 pictures"),
    ("paste missing in", 3, "missing does not exist"),
    ("paste in missing", 2, "missing does not exist"),
]


@pytest.fixture
def tiny_zoo(task_zoo: Path) -> Path:
    return task_zoo


@pytest.fixture
def unloaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two photographs and much that is none, and no model that could be loaded."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a session was made, which loads models")

    monkeypatch.setattr(Session, "__init__", fail)
    write_inputs("invert", folder / "in", NAMES)
    (folder / "masks").mkdir()
    write_mask(folder / "masks" / "b.png")
    (folder / "notes.txt").write_text("nothing to see")
    (folder / "code.safetensors").write_bytes(b"never read")
    (folder / "text.png").write_text("nothing to see")
    (folder / "page.png").write_text("<!DOCTYPE html><html></html>")
    Image.new("L", (128, 128), 120).save(folder / "grey.png")
    Image.new("L", (128, 128), 0).save(folder / "black.png")
    (folder / "cut.png").write_bytes((folder / "masks" / "b.png").read_bytes()[:90])
    return folder


@pytest.mark.parametrize(("line", "code", "message"), WRONG)
def test_it_is_told_before_a_model_is_loaded(real: Call, unloaded: Path, line: str, code: int, message: str) -> None:
    before = contents(unloaded)
    done = real(*line.split(), "-q")
    assert done.code == code, done.err
    assert [error for error, _ in done.problems if message in error], done.err
    assert all(hint for _, hint in done.problems)
    assert contents(unloaded) == before


def test_one_input_without_its_mask_costs_the_others_nothing(real: Call, folder: Path) -> None:
    write_inputs("invert", folder / "in", NAMES)
    (folder / "masks").mkdir()
    write_mask(folder / "masks" / "b.png")
    done = real("inpaint", "in", "--align", "never", "--mask", "masks", "-o", "out", "-q")
    assert done.code == 3 and [error for error, _ in done.problems] == ["no mask for in/a.png in masks"]
    assert set(contents(folder / "out")) == {"b.png"}
