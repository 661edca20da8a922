"""Files of directions: what is written is read, and everything else is refused in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pixel2style2pixel_cli.errors import InputError, ShapeError
from pixel2style2pixel_cli.weights.directions import DirectionFile, load_direction, save_direction
from pixel2style2pixel_cli.weights.latents import LatentFile, save_latents

STEP = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)


def test_round_trip_and_the_same_bytes_every_time(tmp_path: Path) -> None:
    made = {"method": "linear regression", "correlation": 0.9, "faces": 300}
    direction = DirectionFile(name="smile", step=STEP, space="W+", generators=("ab", "cd"), rows="0-1", made=made)
    for name in ("a.safetensors", "b.safetensors"):
        save_direction(tmp_path / name, direction)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    found = load_direction(tmp_path / "a.safetensors")
    assert np.array_equal(found.step, STEP) and found.made == made
    assert (found.name, found.space, found.generators, found.rows) == ("smile", "W+", ("ab", "cd"), "0-1")


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_latents(path, LatentFile(codes=STEP, space="W+", generator="ab"))
    with pytest.raises(InputError, match=r"holds no direction .*latent 1"):
        load_direction(path)
    with pytest.raises(InputError, match="does not exist"):
        load_direction(tmp_path / "absent.safetensors")
    path.write_bytes(b"no safetensors")
    with pytest.raises(InputError, match="is not a safetensors file with a direction"):
        load_direction(path)


@pytest.mark.parametrize(
    ("step", "space", "message"),
    [
        (np.full((1, 4), np.nan, np.float32), "W", "numbers that no edit has"),
        (np.full((1, 4), 1e6, np.float32), "W", "numbers that no edit has"),
        (STEP.astype(np.float64), "W+", "float64 2x4"),
        (STEP, "W", "float32 2x4, expected float32 rows of W"),
        (STEP, "S", "its header does not fit"),
    ],
)
def test_numbers_and_spaces_are_checked(tmp_path: Path, step: np.ndarray, space: str, message: str) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"direction": step}, path, {"p2s2p": "direction 1", "space": space, "generators": "ab"})
    with pytest.raises(InputError, match=message):
        load_direction(path)


def test_nothing_that_is_not_finite_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not finite"):
        save_direction(
            tmp_path / "x.safetensors",
            DirectionFile(name="x", step=np.full((1, 4), np.inf, np.float32), space="W", generators=("ab",)),
        )
    assert not list(tmp_path.iterdir())
    with pytest.raises(ShapeError):
        DirectionFile(name="x", step=STEP, space="W", generators=("ab",))
