"""Label maps, drawings, edits, the parser, FID and the plot of a report, against values worked out otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pixel2style2pixel_cli.errors import InputError, IntegrityError, MissingError
from pixel2style2pixel_cli.evaluation.consistency import edit_lengths, kept_lengths
from pixel2style2pixel_cli.evaluation.inception import InceptionDistance
from pixel2style2pixel_cli.evaluation.layout import Agreement, label_agreement
from pixel2style2pixel_cli.evaluation.lines import find_lines, line_f1
from pixel2style2pixel_cli.evaluation.parser import Parser
from pixel2style2pixel_cli.evaluation.plot import HEIGHT, MEAN, WIDTH, draw_report
from pixel2style2pixel_cli.evaluation.sets import frechet
from pixel2style2pixel_cli.networks.face_parser import FaceParser
from pixel2style2pixel_cli.zoo.auxiliary import networks


def test_overlap_of_classes_is_counted_over_all_maps() -> None:
    truth = [np.array([[0, 0, 1, 1]] * 2, np.uint8), np.array([[0, 0, 0, 0]] * 2, np.uint8)]
    found = [np.array([[0, 1, 1, 1]] * 2, np.uint8), np.array([[0, 0, 0, 2]] * 2, np.uint8)]
    figures = label_agreement(truth, found)
    assert figures["pixel_accuracy"] == pytest.approx(12 / 16)
    # background: 8 of 12 found or true; skin: 4 of 6; a class that only occurs in what was found has no row
    assert figures["iou"] == pytest.approx({"background": 8 / 12, "skin": 4 / 6})
    assert figures["mean_iou"] == pytest.approx(2 / 3)


def test_intervals_of_overlap_hold_it_and_narrow_with_the_number() -> None:
    chance = np.random.default_rng(0)
    widths = []
    for count in (6, 150):
        agreement = Agreement()
        for _ in range(count):
            truth = (chance.random((8, 8)) < chance.random()).astype(np.uint8)
            agreement.add(truth, np.where(chance.random((8, 8)) < 0.8, truth, 1 - truth).astype(np.uint8))
        low, high = agreement.intervals()["mean_iou"]
        assert low < agreement.figures()["mean_iou"] < high
        assert agreement.intervals() == agreement.intervals(), "the same for equal seeds"
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_lines_are_met_within_the_tolerance_alone() -> None:
    drawing = np.full((64, 64), 255, np.uint8)
    drawing[:, 20] = 0
    moved, far = np.roll(drawing, 2, axis=1), np.roll(drawing, 9, axis=1)
    assert line_f1(drawing, moved, 2) == pytest.approx(1.0) and line_f1(drawing, moved, 1) == 0
    assert line_f1(drawing, far, 2) == 0
    both = np.minimum(drawing, far)
    assert line_f1(drawing, both, 1) == pytest.approx(2 * 0.5 / 1.5), (
        "half of what is drawn was asked for, all is there"
    )
    assert (find_lines(255 - drawing) == find_lines(drawing)).all(), "light lines on dark are lines as well"
    assert not find_lines(np.full((8, 8), 255, np.uint8)).any()


def test_lec_is_what_an_edit_and_back_has_moved() -> None:
    codes = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    step = np.full((2, 3), 0.5, np.float32)
    lost = np.zeros((4, 2, 3), np.float32)
    lost[1, 0, 0], lost[3, 1, 2] = 3, 4
    seen: list[np.ndarray] = []

    def draw(number: int, edited: np.ndarray) -> list[np.ndarray]:
        seen.append(edited[0])
        return [np.full((2, 2, 3), number, np.uint8)]

    lengths = edit_lengths(codes, step, draw, lambda pictures: np.stack(seen) + lost)
    assert lengths == pytest.approx([0, 3, 0, 4])
    np.testing.assert_array_equal(seen[2], codes[2] + step)


def test_a_hundredth_of_the_lengths_is_left_out_at_either_end() -> None:
    assert kept_lengths(np.arange(200.0)).tolist() == list(range(2, 198))
    assert kept_lengths(np.arange(99.0)).tolist() == list(range(99))


def write_parser(path: Path, size: int = 32) -> FaceParser:
    """A parser with random weights, as a training writes it."""
    torch.manual_seed(0)
    network = FaceParser(19).eval()
    record = {"size": size, "steps": 1, "mean_iou": 0.1}
    save_file(
        {k: v.contiguous() for k, v in network.state_dict().items()}, path, metadata={"record": json.dumps(record)}
    )
    return network


def test_a_parser_reads_pictures_of_any_size(tmp_path: Path) -> None:
    network = write_parser(tmp_path / "parser.safetensors")
    parser = Parser(tmp_path / "parser.safetensors")
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    small, large = parser([picture, np.kron(picture, np.ones((2, 2, 1), np.uint8))])
    with torch.no_grad():
        scores = network(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1)
    assert small.shape == large.shape == (32, 32) and parser.record["steps"] == 1
    assert (small == scores[0].argmax(0).numpy()).mean() > 0.99
    assert (small == large).mean() > 0.9


@pytest.mark.parametrize("wrong", ["absent", "text", "other tensors", "no record", "size"])
def test_what_is_no_parser_is_refused(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "parser.safetensors"
    if wrong == "text":
        path.write_text("hello")
    elif wrong == "other tensors":
        save_file({"a": torch.zeros(2)}, path, metadata={"record": '{"size": 32}'})
    elif wrong == "no record":
        save_file({"a": torch.zeros(2)}, path)
    elif wrong == "size":
        write_parser(path, size=20)
    with pytest.raises(MissingError if wrong == "absent" else InputError, match="parser"):
        Parser(path)


class Corner(nn.Module):
    """Features of a picture: its mean colour, and that of a corner."""

    num_features = 6

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        values = pictures.double() / 255
        return torch.cat([values.mean(dim=(2, 3)), values[:, :, :4, :4].mean(dim=(2, 3))], dim=1)


def test_fid_is_the_frechet_distance_of_the_networks_features() -> None:
    chance = np.random.default_rng(0)
    drawn = chance.integers(0, 200, (40, 16, 16, 3), dtype=np.uint8)
    target = chance.integers(60, 256, (40, 16, 16, 3), dtype=np.uint8)
    fid = InceptionDistance(Corner())
    for pair in zip(drawn, target, strict=True):
        fid.add(*pair)
    features = [Corner()(torch.from_numpy(part).permute(0, 3, 1, 2)).numpy() for part in (target, drawn)]
    assert fid.pairs == 40 and fid.value() == pytest.approx(frechet(*features), rel=1e-3)


def test_fid_without_its_network_says_where_the_file_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    with pytest.raises(MissingError, match="Inception of torch-fidelity, and there is no file") as caught:
        InceptionDistance()
    path = networks()["inception-fid"].path
    assert str(path) in caught.value.message
    path.parent.mkdir(parents=True)
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(IntegrityError, match="cannot be read"):
        InceptionDistance()


def test_fid_never_runs_code_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "harmed",))  # type: ignore[return-value]

    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    path = networks()["inception-fid"].path
    path.parent.mkdir(parents=True)
    torch.save({"weight": Harm()}, path, pickle_module=pickle)
    with pytest.raises(IntegrityError):
        InceptionDistance()
    assert not (tmp_path / "harmed").exists()


def test_a_plot_has_a_panel_for_each_measure_with_its_mean() -> None:
    values = {"mse": [0.0, 1.0, 1.0, 2.0], "psnr": [30.0, 30.0], "ms_ssim": [0.5], "lpips": [0.1, 0.3]}
    drawn = draw_report(values, {name: (min(row), max(row)) for name, row in values.items()}, {n: n for n in values})
    assert drawn.shape == (2 * HEIGHT, 3 * WIDTH, 3)
    red = (drawn[:HEIGHT, :WIDTH] == MEAN).all(axis=2)
    columns = np.flatnonzero(red[60:120].sum(axis=0) > 40)
    assert abs(columns.mean() - WIDTH / 2) < 3, "the mean of values about 1 is in the middle"
    assert (drawn[HEIGHT:, WIDTH:] == 255).all(), "no panel where no measure is"
