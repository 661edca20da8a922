"""Models whose card says that their pictures show no faces: nothing is looked for, nothing is cut out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import FACES, Call, contents, pixels

from pixel2style2pixel_cli.face import dlib_detector


@pytest.fixture
def tiny_zoo(task_zoo: Path, tmp_path: Path) -> Path:
    zoo = shutil.copytree(task_zoo, tmp_path / "zoo")
    card = zoo / "tiny-invert" / "model.toml"
    card.write_text(card.read_text(encoding="utf-8").replace('kind = "photo"', 'kind = "photo"\nalign = "none"'))
    return zoo


def no_search(*_: object) -> None:
    raise AssertionError("a face was looked for")


def test_the_picture_is_taken_as_it_is(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlib_detector.DlibDetector, "detect", no_search)
    shutil.copy(FACES[0], folder / "square.webp")
    result = real("invert", "square.webp", "-o", "out.png")
    assert result.code == 0, result.err
    assert "no face is looked for, because tiny-invert draws none; --align always looks for one" in result.err
    never = real("invert", "square.webp", "-o", "never.png", "--align", "never")
    assert never.code == 0 and "no face is looked for" not in never.err
    assert np.array_equal(pixels(folder / "out.png"), pixels(folder / "never.png"))


def test_of_a_wide_picture_the_middle_is_taken(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlib_detector.DlibDetector, "detect", no_search)
    square = Image.open(FACES[0]).convert("RGB")
    wide = Image.new("RGB", (square.width + 40, square.height), (10, 60, 110))
    wide.paste(square, (20, 0))
    square.save(folder / "square.png")
    wide.save(folder / "wide.png")
    assert real("invert", "square.png", "wide.png", "-o", "out").code == 0
    assert np.array_equal(pixels(folder / "out" / "square.png"), pixels(folder / "out" / "wide.png"))
    assert real("invert", "wide.png", "-o", "back.png", "--paste").code == 0
    before, after = pixels(folder / "wide.png"), pixels(folder / "back.png")
    assert before.shape == after.shape and np.array_equal(before[:, :20], after[:, :20])
    assert not np.array_equal(before, after)
    refused = real("invert", "wide.png", "-o", "no.png", "--align", "never", "-q")
    assert refused.code == 3 and "without alignment it must be square" in refused.problems[0][0]


def test_a_face_is_looked_for_where_the_user_says_so(real: Call, folder: Path) -> None:
    from skimage import data

    Image.fromarray(data.astronaut()).save(folder / "a.png")
    result = real("invert", "a.png", "-o", "out", "--align", "always", "--json")
    assert result.code == 0 and [row["aligned"] for row in result.rows[:-1]] == [True]
    assert "no face is looked for" not in result.err


def test_a_drawing_made_of_a_photograph_still_needs_its_face(real: Call, folder: Path) -> None:
    from skimage import data

    Image.fromarray(data.astronaut()).save(folder / "a.png")
    result = real("sketch2face", "a.png", "-o", "out", "--sketchify", "--json")
    assert result.code == 0 and [row["aligned"] for row in result.rows[:-1]] == [True]
    assert set(contents(folder / "out")) == {"a.png"}
