"""``p2s2p generate``: a face for each seed, the same beside any others, without any input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import Call, contents, pixels
from tiny_zoo import GENERATOR, SIDE

from pixel2style2pixel_cli import api, load
from pixel2style2pixel_cli.weights.latents import load_latents


def test_a_face_for_each_seed(real: Call, folder: Path) -> None:
    result = real(
        "generate", "--seed", "3,0-1", "--seed", "7", "-o", "out", "--save-latents", "--grid", "sheet", "--json"
    )
    assert result.code == 0, result.err
    assert [(row["input"], row["output"], row["status"]) for row in result.rows[:-1]] == [
        (f"seed{n}", f"out/seed{n}.png", "ok") for n in (3, 0, 1, 7)
    ]
    names = {f"seed{n}.{end}" for n in (0, 1, 3, 7) for end in ("png", "safetensors")}
    assert set(contents(folder / "out")) == names | {"sheet.png"}
    assert Image.open(folder / "out" / "seed0.png").size == (SIDE, SIDE)
    codes = load_latents(folder / "out" / "seed3.safetensors").codes
    assert codes.shape == (GENERATOR.n_styles, GENERATOR.style_dim)
    assert np.array_equal(codes, np.broadcast_to(codes[:1], codes.shape))
    assert not np.array_equal(codes, load_latents(folder / "out" / "seed1.safetensors").codes)
    recipe = real("show", "out/seed7.png", "--json").rows[0]
    assert (recipe["command"], recipe["options"]["face_seed"], recipe["options"]["truncation"]) == ("generate", 7, 1.0)
    assert real("generate", "--seed", "1", "-o", "one.png").code == 0
    assert (folder / "one.png").read_bytes() == (folder / "out" / "seed1.png").read_bytes()
    drawn = real("generate", "--seed", "1", "-o", "-")
    assert drawn.code == 0 and drawn.out == (folder / "one.png").read_bytes()
    sheet = Image.open(folder / "out" / "sheet.png")
    assert sheet.size[0] > 2 * SIDE


def test_truncation_ends_at_the_average(real: Call, folder: Path) -> None:
    assert real("generate", "--seed", "0-1", "--truncation", "0", "-o", "out").code == 0
    assert np.array_equal(pixels(folder / "out" / "seed0.png"), pixels(folder / "out" / "seed1.png"))
    codes = [
        api.generate(seed=5, truncation=t, out=folder / f"t{t}", save_latents=True, device="cpu") for t in (0.5, 1.0)
    ]
    assert [summary.ok for summary in codes] == [1, 1]
    half, whole = (load_latents(folder / f"t{t}" / "seed5.safetensors").codes for t in (0.5, 1.0))
    average = load_latents_of_average(real, folder)
    np.testing.assert_allclose(half, average + 0.5 * (whole - average), rtol=1e-4, atol=1e-6)


def load_latents_of_average(real: Call, folder: Path) -> np.ndarray:
    assert real("generate", "--truncation", "0", "-o", "average.png", "--save-latents").code == 0
    return load_latents(folder / "average.safetensors").codes


def test_a_run_is_continued_and_named(real: Call, folder: Path) -> None:
    line = ("generate", "--seed", "0-3", "-o", "out")
    assert real(*line).code == 0
    (folder / "out" / "seed2.png").unlink()
    resumed = real(*line, "--skip-existing", "--json")
    assert resumed.code == 0 and (resumed.rows[-1]["ok"], resumed.rows[-1]["skipped"]) == (1, 3)
    other = real(*line, "--skip-existing", "--truncation", "0.5")
    assert other.err.count("kept, but made with other options") == 4
    assert real("generate", "--seed", "0-1", "-o", "named", "--name", "{index:03d}-{stem}").code == 0
    assert set(contents(folder / "named")) == {"000-seed0.png", "001-seed1.png"}
    planned = real("generate", "--seed", "0-2", "-o", "plan", "-n")
    assert planned.out.decode().splitlines() == [f"seed{n} -> plan/seed{n}.png" for n in range(3)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "x"], "the seed 'x' is not a whole number"),
        (["--seed", "5-1"], "the seeds 5-1 are not a valid range"),
        (["--seed", "0-99999"], "0-99999 asks for more than 10000 faces"),
        (["--seed", "0-1", "-o", "x.png"], "the output x.png is a file for one input, and there are 2"),
        (["--truncation", "2"], "--truncation is '2', expected a number from 0 to 1"),
        (["--grid", "pair"], "random faces have no input to be compared with"),
        (["a.png"], "got unexpected extra argument"),
    ],
)
def test_what_cannot_be_drawn_is_refused(real: Call, folder: Path, arguments: list[str], message: str) -> None:
    result = real("generate", *arguments, "-q")
    ((error, hint),) = result.problems
    assert result.code == 2 and error.lower().startswith(message.lower()) and hint
    assert contents(folder) == {}


def test_random_noise_belongs_to_the_seed(real: Call, folder: Path) -> None:
    for out, seeds in (("a", "0-1"), ("b", "1")):
        assert real("generate", "--seed", seeds, "--noise", "random", "-o", out).code == 0
    assert (folder / "a" / "seed1.png").read_bytes() == (folder / "b" / "seed1.png").read_bytes()


def test_a_session_draws_the_same(real: Call, folder: Path) -> None:
    assert real("generate", "--seed", "0-2", "-o", "out").code == 0
    with load(device="cpu") as session:
        faces = session.generate(seed="0-2")
        assert [np.array_equal(f.array, pixels(folder / "out" / f"seed{n}.png")) for n, f in enumerate(faces)] == [
            True
        ] * 3
        one = session.generate(seed=2)
        assert np.array_equal(one.array, faces[2].array) and one.photo is None
        assert len(session.generate(seed=[4])) == 1
