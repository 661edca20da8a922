"""``p2s2p paste``: results into their photographs, one by one, by folders, and what is refused."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import Call, contents, pixels, two_faces, write_photos

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.events import Event, ImageDone


@pytest.fixture
def two(real: Call, folder: Path) -> Path:
    """A photograph with two faces, its results in ``made`` and what ``--paste`` made of it in ``direct``."""
    two_faces().save(folder / "two.png")
    assert real("invert", "two.png", "--face", "all", "-o", "made", "--grid", "pair", "--preview-input").code == 0
    assert real("invert", "two.png", "--face", "all", "--paste", "-o", "direct").code == 0
    return folder / "two.png"


def test_one_result_into_its_photograph(real: Call, folder: Path, two: Path) -> None:
    result = real("paste", "made/two_face1.png", "two.png", "-o", "x.png", "--json")
    assert result.code == 0, result.err
    (row, last) = result.rows
    assert (row["input"], row["output"], row["face"], row["status"]) == ("made/two_face1.png", "x.png", 1, "ok")
    assert (last["ok"], last["failed"], last["exit"]) == (1, 0, 0)
    assert real("invert", "two.png", "--face", "1", "--paste", "-o", "alone.png").code == 0
    before, after, direct = (pixels(folder / name) for name in ("two.png", "x.png", "alone.png"))
    assert np.array_equal(after[:, 170:], before[:, 170:]) and not np.array_equal(after, before)
    assert np.abs(after - direct).max() <= 6, "the colours are matched on the photograph, not on the crop"
    recipe = real("show", "x.png", "--json").rows[0]
    assert (recipe["command"], recipe["options"]["paste"], recipe["face"]) == ("invert", True, 1)


def test_all_faces_of_a_run_go_into_one_photograph(real: Call, folder: Path, two: Path) -> None:
    result = real("paste", "made", "two.png", "-o", "out", "--json")
    assert result.code == 0, result.err
    assert set(contents(folder / "out")) == {"two.png"}
    assert [(row["face"], row["output"]) for row in result.rows[:-1]] == [(0, "out/two.png"), (1, "out/two.png")]
    assert result.rows[-1]["ignored"] == 4, "pairs and crops are no results"
    assert np.abs(pixels(folder / "out" / "two.png") - pixels(folder / "direct" / "two.png")).max() <= 6
    recipe = real("show", "out/two.png", "--json").rows[0]
    assert [face["face"] for face in recipe["faces"]] == [0, 1] and recipe["matrix"] is None
    again = real("paste", "made", "two.png", "-o", "out", "-q")
    assert again.code == 2 and "out/two.png" in again.problems[0][0]
    before = contents(folder / "out")
    skipped = real("paste", "made", "two.png", "-o", "out", "--skip-existing")
    assert skipped.code == 0 and "2 skipped" in skipped.err and contents(folder / "out") == before
    assert real("paste", "made", "two.png", "-o", "out", "--existing", "rename").code == 0
    assert set(contents(folder / "out")) == {"two.png", "two-1.png"}
    planned = real("paste", "made", "two.png", "-o", "other", "-n")
    assert planned.code == 0 and "made/two_face0.png -> other/two.png" in planned.out.decode()
    assert not (folder / "other").exists()
    piped = real("paste", "made", "two.png", "-o", "-")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(piped.out))), np.asarray(Image.open("out/two.png")))


def test_folders_are_matched_by_name_and_by_bytes(real: Call, folder: Path) -> None:
    write_photos(folder / "photos", ["a.png", "sub/a.png", "sub/b.png"])
    arguments = ("-r", "-o", "made", "--mix-seed", "1-2", "--align", "always")
    assert real("invert", "photos", *arguments).code == 0
    (folder / "photos" / "sub" / "b.png").rename(folder / "photos" / "renamed.png")
    (folder / "made" / "plain.png").write_bytes((folder / "photos" / "a.png").read_bytes())
    result = real("paste", "made", "photos", "-r", "-o", "out", "--json", "-q")
    names = {f"{name}_mix{seed}.png" for name in ("a", "sub/a", "sub/renamed") for seed in (1, 2)}
    assert set(contents(folder / "out")) == names
    assert result.code == 3 and [row["input"] for row in result.rows if row.get("status") == "failed"] == [
        "made/plain.png"
    ]
    assert "holds no recipe of p2s2p" in result.problems[0][0]
    for name in ("a", "sub/a"):
        assert Image.open(folder / "out" / f"{name}_mix1.png").size == Image.open(f"photos/{name}.png").size


def test_another_photograph_is_refused(real: Call, folder: Path, two: Path) -> None:
    Image.open(two).save(folder / "again.jpg")
    (folder / "photos").mkdir()
    shutil.copy(folder / "again.jpg", folder / "photos" / "two.png")
    write_photos(folder / "photos", ["other.png"])
    right, wrong = (hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("two.png", "again.jpg"))
    for photo in ("again.jpg", "photos"):
        result = real("paste", "made/two_face0.png", photo, "-o", "x.png", "-q")
        assert result.code == 3 and not (folder / "x.png").exists()
        ((error, hint),) = result.problems
        assert right in error and wrong in error and "made from two.png" in error
        assert "a copy that was saved again has other bytes" in hint


def test_what_has_no_place_in_a_photograph(real: Call, folder: Path, two: Path) -> None:
    cases = {
        "direct/two.png": "was put back into its photograph already",
        "two.png": "holds no recipe of p2s2p",
        "absent.png": "does not exist",
        "made/two_face0_pair.png": "and a result is square",
    }
    for name, message in cases.items():
        result = real("paste", name, "two.png", "-o", "x.png", "-q")
        assert result.code == 3 and not (folder / "x.png").exists()
        assert message in result.problems[0][0]
    for line in (("made/two_face0.png", "absent.jpg"), ("-", "two.png"), ("made/two_face0.png", "-")):
        refused = real("paste", *line, "-o", "x.png", "-q")
        assert refused.code == 2 and refused.problems
    onto = real("paste", "made/two_face0.png", "two.png", "-o", "two.png", "--overwrite", "-q")
    assert onto.code == 2 and "inputs are never changed" in onto.problems[0][1]


def test_from_python(real: Call, folder: Path, two: Path) -> None:
    seen: list[Event] = []
    summary = api.paste("made/two_face0.png", two, out="x.jpg", on_event=seen.append)
    assert (summary.ok, summary.complete) == (1, True)
    assert Image.open("x.jpg").size == (360, 200)
    assert [event.output for event in seen if isinstance(event, ImageDone)] == ["x.jpg"]
