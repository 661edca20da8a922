"""``p2s2p edit``: directions from the generator and from files, strengths, sweeps, rows, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import Call, pixels, write_photos
from tiny_zoo import GENERATOR, tiny_model

from pixel2style2pixel_cli.session import load
from pixel2style2pixel_cli.weights.digest import tensor_digest
from pixel2style2pixel_cli.weights.directions import DirectionFile, save_direction
from pixel2style2pixel_cli.weights.latents import load_latents

NEVER = ("--align", "never")
WIDTH, ROWS = GENERATOR.style_dim, GENERATOR.n_styles


def write_direction(path: Path, rows: str = "", **changes: object) -> np.ndarray:
    """A direction of the tiny generator; its step, (1, width)."""
    step = np.linspace(-1, 1, WIDTH, dtype=np.float32)[None]
    digest = tensor_digest(tiny_model().generator)
    save_direction(path, DirectionFile(**{  # type: ignore[arg-type]
        "name": path.stem, "step": step, "space": "W", "generators": (digest,), "rows": rows, **changes,
    }))  # fmt: skip
    return step


@pytest.fixture
def latent(real: Call, folder: Path) -> np.ndarray:
    """The codes of ``me.safetensors`` and of the photograph ``a.png``, which are the same."""
    write_photos(folder, ["a.png"])
    assert real("invert", "a.png", *NEVER, "-o", "me.png", "--save-latents").code == 0
    return load_latents(folder / "me.safetensors").codes


def test_a_direction_of_a_file_moves_its_rows(real: Call, folder: Path, latent: np.ndarray) -> None:
    step = write_direction(folder / "up.safetensors", rows="2-4")
    for source in ("a.png", "me.safetensors"):
        result = real("edit", source, *NEVER, "--direction", "up.safetensors", "--strength", "1.5", "-o", "x.png",
                      "--save-latents", "--overwrite")  # fmt: skip
        assert result.code == 0, result.err
        moved = load_latents(folder / "x.safetensors").codes - latent
        assert np.allclose(moved[2:5], 1.5 * step, atol=1e-6) and not moved[[0, 1, 5, 6, 7]].any()
    shown = real("show", "x.png", "--json").rows[0]["options"]
    assert shown["strength"] == 1.5 and shown["directions"].startswith("up.safetensors rows 2,3,4 ")


def test_several_directions_a_sweep_and_rows(real: Call, folder: Path, latent: np.ndarray) -> None:
    step = write_direction(folder / "up.safetensors")
    result = real("edit", "me.safetensors", "--direction", "up.safetensors", "--direction", "sefa:0-1:3=2", "--sweep",
                  "-1:1:3", "--layers", "1,6", "-o", "out", "--save-latents", "--grid", "row", "--json")  # fmt: skip
    assert result.code == 0, result.err
    assert [row["variant"] for row in result.rows[:-1]] == [{"strength": value} for value in (-1.0, 0.0, 1.0)]
    codes = [load_latents(folder / f"out/me_strength{value}.safetensors").codes for value in (-1, 0, 1)]
    assert np.allclose(codes[2] - codes[1], codes[1] - codes[0], atol=1e-5)
    assert np.allclose((codes[2] - codes[1])[[1, 6]], step, atol=1e-5)
    fixed = codes[1] - latent
    assert not fixed[[0, 2, 3, 4, 5, 7]].any() and np.allclose(fixed[1], fixed[6], atol=1e-6) and fixed[1].any()
    assert pixels(folder / "out/me_row.png").shape[1] > 4 * pixels(folder / "out/me_strength0.png").shape[1]
    named = real("edit", "me.safetensors", "--direction", "pca:1", "--sweep", "0:1:2", "--name", "{stem}@{strength}")
    assert named.code == 0 and (folder / "p2s2p-out/edit/me@1.0.png").exists(), named.err
    again = real("edit", "me.safetensors", "--direction", "pca:1", "--sweep", "0:1:2", "--name", "{stem}@{strength}",
                 "--skip-existing", "--json")  # fmt: skip
    assert [row["status"] for row in again.rows[:-1]] == ["skipped", "skipped"]


def test_a_shipped_direction_has_a_name(real: Call, folder: Path, tiny_zoo: Path, latent: np.ndarray) -> None:
    (tiny_zoo / "tiny-generator" / "directions").mkdir()
    path = tiny_zoo / "tiny-generator" / "directions" / "smile.safetensors"
    step = write_direction(path)
    try:
        found = load("tiny-invert").edit(latent, direction="smile", strength=-2)
        assert np.allclose(found.codes - latent, -2 * step, atol=1e-6)
        wrong = real("edit", "me.safetensors", "--direction", "smlie")
        assert wrong.code == 2 and "did you mean smile?" in wrong.err
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "no direction is named"),
        (("--direction", "smile"), "no direction is called 'smile'"),
        (("--direction", "sefa:0=x"), "the strength in 'sefa:0=x' is 'x', which is no number"),
        (("--direction", "sefa:0=nan"), "the strength in 'sefa:0=nan' is nan"),
        (("--direction", "sefa:99"), f"sefa:99 is beyond the {WIDTH} directions"),
        (("--direction", "sefa:9-12:0"), "go beyond the model's 8 rows"),
        (("--direction", "sefa"), "the direction 'sefa' cannot be read"),
        (("--direction", "sefa:0", "--direction", "sefa:0=1"), "is named twice"),
        (("--direction", "sefa:0", "--layers", "7-9"), "go beyond the model's 8 rows"),
        (("--direction", "sefa:0", "--sweep", "1:2"), "is not FIRST:LAST:COUNT"),
        (("--direction", "sefa:0", "--sweep", "1:2:1"), "has 1 strengths from 1 to 2"),
        (("--direction", "sefa:0=1", "--sweep", "1:2:3"), "every direction has its own strength"),
        (("--direction", "sefa:0", "--sweep", "1:2:3", "--mix-seed", "1"), "both make several pictures"),
        (("--direction", "absent.safetensors"), "absent.safetensors does not exist"),
        (("--direction", "me.safetensors"), "holds no direction of this version of p2s2p"),
        (("--direction", "other.safetensors"), "was made for generator ffffffffffff, and this model has"),
        (("--direction", "narrow.safetensors"), "has 1 x 4 numbers in W, and codes of this model have 8 x 32"),
        (("--direction", "few.safetensors"), "has 3 x 32 numbers in W+, and codes of this model have 8 x 32"),
    ],
)
def test_refusals_have_two_lines(
    real: Call, folder: Path, latent: np.ndarray, options: tuple[str, ...], message: str
) -> None:
    write_direction(folder / "other.safetensors", generators=("f" * 64,))
    write_direction(folder / "narrow.safetensors", step=np.ones((1, 4), np.float32))
    write_direction(folder / "few.safetensors", step=np.ones((3, WIDTH), np.float32), space="W+")
    result = real("edit", "me.safetensors", *options, "-o", "out")
    assert message in result.err and result.code in (2, 3), result.err
    lines = [line for line in result.err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert len(lines) == 2 and not (folder / "out").exists()


def test_a_sweep_can_be_an_animation(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png", "b.png"])
    line = ("edit", "a.png", "--align", "never", "--direction", "sefa:0", "--sweep", "-2:2:5")
    assert real(*line, "-o", "turning.gif", "--fps", "10").code == 0
    assert real(*line, "-o", "out", "--format", "webp").code == 0
    for path in (folder / "turning.gif", folder / "out" / "a.webp"):
        with Image.open(path) as film:
            assert film.n_frames == 5  # type: ignore[attr-defined]
    assert real(*line[:6], "-o", "one.webp").code == 0
    with Image.open(folder / "one.webp") as film:
        assert film.n_frames == 1  # type: ignore[attr-defined]
