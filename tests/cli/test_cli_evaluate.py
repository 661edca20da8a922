"""``p2s2p evaluate``: pairs found by name or by recipe, figures, reports, and folders in which something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import Call
from skimage import data

MARKDOWN = ".md"


@pytest.fixture
def face() -> Image.Image:
    return Image.fromarray(data.astronaut())


@pytest.fixture
def pairs(folder: Path, face: Image.Image) -> Path:
    """Six crops in ``targets``, and the same with noise in ``results``; the third below a folder."""
    chance = np.random.default_rng(0)
    for number in range(6):
        crop = face.crop((120 + 8 * number, 0, 320 + 8 * number, 200)).resize((96, 96))
        name = f"{'deep/' if number == 2 else ''}{number}"
        for kind in ("targets", "results"):
            (folder / kind / "deep").mkdir(parents=True, exist_ok=True)
        crop.save(folder / "targets" / f"{name}.jpg", quality=98)
        noisy = np.clip(np.asarray(crop).astype(int) + chance.integers(-10, 11, (96, 96, 3)), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(folder / "results" / f"{name}.png")
    return folder


def test_a_folder_of_pairs_gives_a_table_and_a_report(real: Call, pairs: Path) -> None:
    result = real("evaluate", "results", "targets", "-r", "-o", "report.json")
    assert result.code == 0, result.err
    assert b"squared error" in result.out and b"95 % interval" in result.out
    report = json.loads((pairs / "report.json").read_text(encoding="utf-8"))
    assert (report["pairs"], report["failed"], report["without_target"]) == (6, 0, 0)
    error = report["means"]["mse"]
    assert error["count"] == 6 and error["low"] < error["mean"] < error["high"]
    assert error["mean"] == pytest.approx(20 * 22 / 12 / 127.5**2, rel=0.3), "that of even noise up to ten levels"
    assert report["sets"]["spectrum_ratio"]["8"] == pytest.approx(1.0, abs=0.05)
    assert report["sets"]["faces"]["found_in_targets"] > 0.5
    again = real("evaluate", "results", "targets", "-r", "-o", "report.json")
    assert again.code == 2 and "exists already" in again.err
    written = real("evaluate", "results", "targets", "-r", "-o", f"report{MARKDOWN}", "--size", "48", "--json")
    assert written.code == 0 and written.rows[-1]["event"] == "evaluation"
    assert sum(row["event"] == "image" for row in written.rows) == 6
    assert (pairs / f"report{MARKDOWN}").read_text(encoding="utf-8").count("\n| ") >= 6


def test_a_result_is_compared_with_its_part_of_the_photograph(real: Call, folder: Path, face: Image.Image) -> None:
    face.save(folder / "photo.png")
    made = real("invert", "photo.png", "-o", "made", "--optimize", "0", "--debug-align")
    assert made.code == 0, made.err
    crops = list((folder / "made").glob("*_crop.png"))
    assert len(crops) == 1
    by_photo = real("evaluate", "made/photo.png", "photo.png", "--json")
    by_crop = real("evaluate", "made/photo.png", str(crops[0].relative_to(folder)), "--json")
    figures = [result.rows[-1]["means"]["mse"]["mean"] for result in (by_photo, by_crop)]
    assert figures[0] == pytest.approx(figures[1], rel=0.05)


def test_one_bad_pair_costs_no_other(real: Call, pairs: Path, face: Image.Image) -> None:
    (pairs / "results" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    (pairs / "targets" / "3.jpg").unlink()
    face.crop((0, 0, 100, 80)).save(pairs / "targets" / "4.jpg")
    result = real("evaluate", "results", "targets", "--json")
    assert result.code == 3
    assert (result.rows[-1]["pairs"], result.rows[-1]["failed"], result.rows[-1]["without_target"]) == (2, 2, 1)
    told = {row["input"]: row["message"] for row in result.rows if row.get("status") == "failed"}
    assert len(told) == 3
    assert "no target has its name" in told["results/3.png"] and "100 x 80" in told["results/4.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("results", "elsewhere"), "elsewhere"),
        (("results", "other"), "no result has a target"),
        (("results", "targets", "-o", "report.txt"), "neither .json nor .md"),
        (("results", "targets", "--size", "3"), "--size"),
        (("-", "targets"), "not from standard input"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    real: Call, pairs: Path, face: Image.Image, arguments: tuple[str, ...], message: str
) -> None:
    (pairs / "other").mkdir()
    face.save(pairs / "other" / "nobody.png")
    face.save(pairs / "other" / "no-one.png")
    result = real("evaluate", *arguments)
    assert result.code == 2 and message in result.err
    assert not (pairs / "report.txt").exists()
