"""``p2s2p edit learn``: directions out of pictures and a table, then used; and tables that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_run import Call
from tiny_zoo import GENERATOR, tiny_model

from pixel2style2pixel_cli.weights.digest import tensor_digest
from pixel2style2pixel_cli.weights.directions import load_direction
from pixel2style2pixel_cli.weights.latents import LatentFile, load_latents, save_latents

COUNT = 30
SHAPE = (GENERATOR.n_styles, GENERATOR.style_dim)


@pytest.fixture
def codes(folder: Path) -> np.ndarray:
    """Saved codes in ``faces``, and ``labels.csv``: the first number of each code, whether it is above 0, a word."""
    chance = np.random.default_rng(0)
    made = chance.standard_normal((COUNT, *SHAPE)).astype(np.float32)
    made[:, :, 0] = made[:, :1, 0]
    digest = tensor_digest(tiny_model().generator)
    lines = ["file;first;above;hair"]
    for number, code in enumerate(made):
        path = folder / "faces" / f"{number:02d}.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_latents(path, LatentFile(codes=code, space="W+", generator=digest))
        word = ("red", "brown", "black")[number % 3]
        lines.append(f"{path.name};{10 * code[0, 0]};{'yes' if code[0, 0] > 0 else 'no'};{word}")
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return made


def test_learned_directions_are_written_and_used(real: Call, folder: Path, codes: np.ndarray) -> None:
    result = real("edit", "learn", "faces", "--labels", "labels.csv", "-o", "made", "--json")
    assert result.code == 0, result.err
    assert [row["label"] for row in result.rows] == ["first", "above", "hair=black", "hair=brown", "hair=red"]
    assert result.rows[0]["event"] == "direction" and result.rows[0]["pictures"] == COUNT
    found = load_direction(folder / "made" / "first.safetensors")
    assert (found.space, found.step.shape) == ("W+", SHAPE)
    assert np.allclose(found.step[:, 0], codes[:, 0, 0].std(), rtol=1e-4), "one standard deviation of the label"
    assert (folder / "made" / "hair-black.safetensors").exists()
    moved = real("edit", "faces/03.safetensors", "--direction", "made/first.safetensors", "--strength", "1", "-o",
                 "x.png", "--save-latents")  # fmt: skip
    assert moved.code == 0, moved.err
    assert np.allclose(load_latents(folder / "x.safetensors").codes - codes[3], found.step, atol=1e-5)
    again = real("edit", "learn", "faces", "--labels", "labels.csv", "-o", "made")
    assert again.code == 2 and "exists already" in again.err
    assert real("edit", "learn", "faces", "--labels", "labels.csv", "-o", "made", "--skip-existing").code == 0
    shown = real("show", "made/first.safetensors", "--json").rows[0]
    assert shown["kind"] == "direction"


def test_one_label_one_row_for_all_and_what_is_held_fixed(real: Call, folder: Path, codes: np.ndarray) -> None:
    result = real("edit", "learn", "faces", "--labels", "labels.csv", "--label", "above", "--method", "regression",
                  "--orthogonal-to", "hair", "--space", "w", "--layers", "0-3", "-o", "above.safetensors")  # fmt: skip
    assert result.code == 0 and b"above" in result.out, result.err
    found = load_direction(folder / "above.safetensors")
    assert (found.space, found.step.shape, found.rows) == ("W", (1, SHAPE[1]), "0-3")
    assert found.made["held_fixed"] == "hair=black,hair=brown,hair=red"
    assert np.abs(found.step[0]).argmax() == 0


def test_a_picture_that_cannot_be_used_is_left_out(real: Call, folder: Path, codes: np.ndarray) -> None:
    (folder / "faces" / "05.safetensors").write_bytes(b"broken")
    (folder / "faces" / "unnamed.safetensors").write_bytes(b"broken")
    result = real("edit", "learn", "faces", "--labels", "labels.csv", "--label", "first", "-o", "d", "--json")
    assert result.code == 3 and "05.safetensors" in result.err and "1 inputs are not in labels.csv" in result.err
    assert result.rows[-1]["pictures"] == COUNT - 1


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (None, (), "the table table.csv cannot be read"),
        ("", (), "the table table.csv has no labels"),
        ("file\na.png\n", (), "the table table.csv has no labels"),
        ("file,x\n00.safetensors,1,2\n", (), "row 2 of table.csv has 3 fields, expected 2"),
        ("file,x,x\n00.safetensors,1,2\n", (), "have no names of their own"),
        ("file,x\n00.safetensors,1\n00.safetensors,2\n", (), "is in two rows of table.csv"),
        ("file,x\nother.png,1\n", (), "none of the 30 inputs is in table.csv, whose first picture is other.png"),
        ("file,x\n00.safetensors,1\n", ("--label", "y"), "table.csv has no column 'y'"),
        ("file,x\n00.safetensors,1\n", ("--orthogonal-to", "y"), "table.csv has no column 'y'"),
        ("file,x\n00.safetensors,1\n", (), "1 pictures with labels are too few"),
        ("file,x\n00.safetensors,1\n", ("--layers", "9-"), "go beyond the model's 8 rows"),
    ],
)
def test_tables_that_are_refused(
    real: Call, folder: Path, codes: np.ndarray, table: str | None, options: tuple[str, ...], message: str
) -> None:
    if table is not None:
        (folder / "table.csv").write_text(table, encoding="utf-8")
    result = real("edit", "learn", "faces", "--labels", "table.csv", *options)
    assert message in result.err and result.code in (2, 3), result.err
    assert len([line for line in result.err.splitlines() if line.startswith(("error: ", "hint: "))]) == 2
    assert not (folder / "p2s2p-out").exists()


def test_a_file_called_learn_is_an_input(real: Call, folder: Path) -> None:
    (folder / "learn").mkdir()
    result = real("edit", "learn", "--direction", "sefa:0")
    assert result.code == 2 and "no image in learn" in result.err
