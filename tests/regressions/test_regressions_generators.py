"""What is no generator, named as one: two lines with the file's name, exit 4 or 2, and nothing written or installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.weights.directions import DirectionFile, save_direction
from pixel2style2pixel_cli.weights.latents import LatentFile, Space, save_latents


def latent(path: Path, space: Space) -> Path:
    rows = 14 if space == "W+" else 1
    save_latents(path, LatentFile(codes=np.zeros((rows, 8), np.float32), space=space, generator="ab" * 32))
    return path


def direction(path: Path) -> Path:
    save_direction(path, DirectionFile(name="x", step=np.ones((1, 8), np.float32), space="W", generators=("ab" * 32,)))
    return path


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


MADE: dict[str, Callable[[Path], Path]] = {
    "latent in W+": lambda path: latent(path, "W+"),
    "latent in W": lambda path: latent(path, "W"),
    "latent in Z": lambda path: latent(path, "Z"),
    "direction": direction,
    "nothing": lambda path: written(path, b""),
    "text": lambda path: written(path, b"hello"),
    "header alone": lambda path: written(path, (2).to_bytes(8, "little") + b"{}"),
}
USES: dict[str, Callable[[Path, Path], object]] = {
    "blend": lambda file, folder: api.blend_models(str(file), str(file), "new", at=16),
    "train": lambda file, folder: api.train_encoder(folder / "data", folder / "run", generator=str(file), check=True),
    "import": lambda file, folder: api.import_model("new", file),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("made", MADE)
def test_a_file_that_is_no_generator(made: str, use: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    file = MADE[made](tmp_path / "given.safetensors")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(encode_image(np.zeros((32, 32, 3), np.uint8), "png"))
    with pytest.raises(P2S2PError) as caught:
        USES[use](file, tmp_path)
    assert caught.value.exit_code in (2, 3, 4) and caught.value.hint
    assert "given.safetensors" in caught.value.message
    assert "Expecting value" not in caught.value.message  # that is the parser's word for a latent's metadata
    assert not (tmp_path / "run").exists() and not list((tmp_path / "home").rglob("*.safetensors"))
