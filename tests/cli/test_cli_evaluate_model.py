"""``p2s2p evaluate`` with a model in the place of results, of label maps and drawings, and with what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from real_run import Call, write_photos
from safetensors.torch import save_file

from pixel2style2pixel_cli.networks.face_parser import FaceParser
from pixel2style2pixel_cli.networks.faceid import FaceRecogniser
from pixel2style2pixel_cli.networks.specs import RecogniserSpec
from pixel2style2pixel_cli.training.export import export_recogniser

MARKDOWN = ".md"


@pytest.fixture
def zoo(real: Call, task_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """The command line on a model for every task."""
    monkeypatch.setenv("P2S2P_ZOO", str(task_zoo))
    return real


@pytest.fixture
def data(folder: Path) -> Path:
    """Six rendered faces in ``photos``, label maps of them in ``maps``, one of both below a folder."""
    names = [f"{'deep/' if number == 2 else ''}{number}" for number in range(6)]
    write_photos(folder / "photos", [f"{name}.png" for name in names])
    chance = np.random.default_rng(0)
    for name in names:
        path = folder / "maps" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.kron(chance.integers(0, 4, (8, 8)), np.ones((4, 4))).astype(np.uint8)).save(path)
    return folder


@pytest.fixture
def parser(folder: Path) -> Path:
    """A parser with random weights."""
    torch.manual_seed(0)
    state = {name: value.contiguous() for name, value in FaceParser(19).state_dict().items()}
    save_file(state, folder / "parser.safetensors", metadata={"record": json.dumps({"size": 32})})
    return folder / "parser.safetensors"


def test_a_model_is_run_and_measured(zoo: Call, data: Path) -> None:
    arguments = ("tiny-invert", "photos", "-r", "--set", "align=never", "--edit", "sefa:0=2", "--keep", "kept")
    done = zoo("evaluate", *arguments, "-o", "report.json", "--plot", "plot.png", "--json")
    assert done.code == 0, done.err
    report = json.loads((data / "report.json").read_text("utf-8"))
    assert report["model"]["model"].startswith("tiny-invert@") and report["model"]["task"] == "invert"
    assert (report["pairs"], report["failed"], report["without_target"]) == (6, 0, 0)
    seconds, moved = report["means"]["seconds"], report["means"]["lec:sefa:0"]
    assert seconds["count"] == 6 and 0 < seconds["low"] <= seconds["mean"] <= seconds["high"]
    assert moved["count"] == 6 and moved["mean"] > 0
    assert "thread" in report["device"]
    rows = [row for row in done.rows if row["event"] == "image"]
    assert len(rows) == 6 and all({"mse", "seconds"} <= set(row["metrics"]) for row in rows)
    assert Image.open(data / "plot.png").width > 300
    by_hand = zoo("evaluate", "kept", "photos", "-r", "--json")
    assert by_hand.rows[-1]["means"]["mse"] == report["means"]["mse"], "the same as of the pictures that were kept"
    again = zoo("evaluate", *arguments)
    assert again.code == 2 and "kept" in again.err, "what exists is not replaced"
    more = zoo("evaluate", *arguments, "--skip-existing", "--json")
    assert more.code == 0 and more.rows[-1]["means"]["mse"] == report["means"]["mse"]
    assert "seconds" not in more.rows[-1]["means"], "nothing was drawn anew"


def test_a_layout_is_read_by_a_parser(zoo: Call, data: Path, parser: Path) -> None:
    done = zoo(
        "evaluate", "tiny-seg2face", "photos", "-r", "--inputs", "maps", "--parser", parser, "-o", f"report{MARKDOWN}"
    )
    assert done.code == 0, done.err
    assert "| mean IoU of the classes (more is better) |" in (data / f"report{MARKDOWN}").read_text("utf-8")
    told = zoo("evaluate", "tiny-seg2face", "photos", "-r", "--inputs", "maps", "--parser", parser, "--json").rows[-1]
    layout = told["sets"]["layout"]
    assert set(layout["iou"]) == {"background", "skin", "nose", "glasses"}, "the classes that the maps have"
    low, high = told["intervals"]["layout"]["mean_iou"]
    assert low <= layout["mean_iou"] <= high
    assert told["sets"]["layout_of_targets"]["iou"].keys() == layout["iou"].keys()
    without = zoo("evaluate", "tiny-seg2face", "photos", "-r", "--inputs", "maps", "--json").rows[-1]
    assert "layout" not in without["sets"] and without["means"]["mse"] == told["means"]["mse"]


def test_label_maps_are_compared_as_numbers(zoo: Call, data: Path) -> None:
    same = zoo("evaluate", "maps", "maps", "-r", "--labels", "celebamask-19", "--json")
    assert same.code == 0, same.err
    assert same.rows[-1]["sets"]["layout"]["mean_iou"] == 1.0
    assert same.rows[-1]["means"]["pixel_accuracy"]["mean"] == 1.0
    other = data / "other" / "0.png"
    other.parent.mkdir()
    values = np.asarray(Image.open(data / "maps" / "0.png"))
    Image.fromarray(np.where(values == 3, 0, values).astype(np.uint8)).save(other)
    figures = zoo("evaluate", other, "maps/0.png", "--labels", "bisenet-19", "--json").rows[-1]["sets"]["layout"]
    assert figures["pixel_accuracy"] == pytest.approx((values != 3).mean(), abs=1e-6)
    assert figures["iou"]["r_brow"] == 0, "class 3 of this schema, and nothing was found of it"
    Image.fromarray(np.full((8, 8), 77, np.uint8)).save(data / "other" / "1.png")
    wrong = zoo("evaluate", "other", "maps", "--labels", "celebamask-19")
    assert wrong.code == 3 and "77" in wrong.err


def test_lines_of_drawings(zoo: Call, data: Path) -> None:
    done = zoo("evaluate", "tiny-sketch2face", "photos", "-r", "--json")
    assert done.code == 0, done.err
    assert 0 <= done.rows[-1]["means"]["line_f1"]["mean"] < 1
    itself = zoo("evaluate", "photos", "photos", "-r", "--lines", "--json")
    assert itself.rows[-1]["means"]["line_f1"]["mean"] == 1.0


def test_what_cannot_be_drawn_costs_no_other(zoo: Call, data: Path) -> None:
    (data / "photos" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    done = zoo("evaluate", "tiny-invert", "photos", "--set", "align=never", "--json")
    assert done.code == 3
    assert (done.rows[-1]["pairs"], done.rows[-1]["model"]["not_drawn"]) == (4, 1)
    failed = [row for row in done.rows if row.get("status") == "failed"]
    assert len(failed) == 1 and failed[0]["input"] == "photos/3.png"


def test_an_input_without_a_partner_is_named(zoo: Call, data: Path, parser: Path) -> None:
    (data / "maps" / "4.png").unlink()
    (data / "maps" / "lonely.png").write_bytes((data / "maps" / "0.png").read_bytes())
    done = zoo("evaluate", "tiny-seg2face", "photos", "--inputs", "maps", "--parser", parser, "--json")
    assert done.code == 3
    assert (done.rows[-1]["pairs"], done.rows[-1]["without_target"]) == (4, 1)
    assert any("lonely" in row.get("input", "") for row in done.rows if row.get("status") == "failed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("photos", "photos", "--edit", "age"), "--edit is for a model"),
        (("photos", "photos", "--set", "optimize=1"), "--set is for a model"),
        (("photos", "photos", "--inputs", "maps"), "--parser FILE or --lines"),
        (("photos", "photos", "--lines", "--labels", "bisenet-19"), "label maps"),
        (("photos", "photos", "--labels", "ade20k"), "unknown label schema"),
        (("photos", "photos", "--plot", "report.pdf"), "neither .png"),
        (("tiny-seg2face", "photos"), "--inputs FOLDER of label maps"),
        (("tiny-invert", "photos", "--task", "frontalize"), "cannot frontalize"),
        (("tiny-invert", "photos", "--task", "morph"), "cannot measure morph"),
        (("tiny-invert", "photos", "--set", "optimise=2"), "no such option"),
        (("tiny-invert", "photos", "--set", "optimize=many"), "many"),
        (("tiny-invert", "photos", "--set", "out=elsewhere"), "no such option here"),
        (("tiny-invert", "photos", "--edit", "smile"), "smile"),
        (("tiny-frontalize", "photos", "--edit", "sefa:0"), "the task is frontalize"),
        (("tiny-generator", "photos"), "draws nothing"),
        (("tiny-invert", "photos", "--keep", "kept", "--existing", "rename"), "measured twice"),
        (("tiny-invert", "-"), "not from standard input"),
    ],
)
def test_what_does_not_fit_is_refused(zoo: Call, data: Path, arguments: tuple[str, ...], message: str) -> None:
    before = sorted(path for path in data.rglob("*"))
    done = zoo("evaluate", *arguments)
    assert done.code == 2, done.err
    assert message in done.err.replace("\n", " ")
    assert sorted(path for path in data.rglob("*")) == before, "nothing is written"


def test_identity_by_a_recogniser_of_ones_own(zoo: Call, data: Path) -> None:
    spec = RecogniserSpec(
        kind="irse", input_size=32, embedding=8, units=(1, 1, 1, 1), widths=(8, 8, 8, 16), box=(0, 256, 0, 256)
    )
    torch.manual_seed(0)
    export_recogniser(data, FaceRecogniser(spec).state_dict(), spec)
    same = zoo("evaluate", "photos", "photos", "-r", "--recogniser", "recogniser.safetensors", "--json").rows[-1]
    assert same["means"]["identity_similarity"]["mean"] == pytest.approx(1.0, abs=1e-4)
    assert same["sets"]["recogniser"] == {"people": 6, "rank_1": 1.0, "true_at_1_percent_false": 1.0}
    assert same["intervals"]["recogniser"]["rank_1"] == [1.0, 1.0] and len(same["recogniser"]) == 64
    other = zoo("evaluate", "tiny-invert", "photos", "-r", "--set", "align=never", "--recogniser", data, "--json")
    assert other.rows[-1]["means"]["identity_similarity"]["mean"] < 0.999
    absent = zoo("evaluate", "photos", "photos", "--recogniser", "absent.safetensors")
    assert absent.code == 2 and "absent.safetensors" in absent.err


def test_a_file_that_is_no_parser_is_refused(zoo: Call, data: Path) -> None:
    (data / "parser.safetensors").write_text("hello")
    done = zoo("evaluate", "photos", "photos", "--parser", "parser.safetensors")
    assert done.code == 3 and "no face parser" in done.err
    absent = zoo("evaluate", "photos", "photos", "--parser", "absent.safetensors")
    assert absent.code == 4 and "absent.safetensors" in absent.err
