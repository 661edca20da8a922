"""A published checkpoint as a file, imported as a user does it, gives the published picture."""

from __future__ import annotations

from pathlib import Path

import fill
import numpy as np
import pytest
import torch
from golden_numbers import DATA, SALT, layout
from test_parity_psp import published

from pixel2style2pixel_cli.engine.loading import load_model
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.install.adopt import import_model
from pixel2style2pixel_cli.zoo.choose import choose_model


@pytest.mark.slow
@torch.no_grad()
def test_an_imported_file_draws_the_published_picture_to_a_grey_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    checkpoint = published(layout("psp_into_w", "encoder."), 256, "BackboneEncoderUsingLastLayerIntoW", (1, 512))
    torch.save(checkpoint, tmp_path / "published.pt")
    del checkpoint
    import_model("published", tmp_path / "published.pt")
    model = load_model(choose_model("invert", "published"), torch.device("cpu"), torch.float32)
    image = torch.from_numpy(fill.image(SALT, "x", (2, 3, 256, 256)))
    ours = np.stack(to_uint8(model.generator(model.encoder(image)))).transpose(0, 3, 1, 2)
    with np.load(DATA / "psp_into_w_256.npz") as file:
        expected, stride = file["image256.slice"], int(file["image256.stride"])
    levels = (np.clip((expected.astype(np.float64) + 1) / 2, 0, 1) * 255).astype(int)
    difference = np.abs(ours.reshape(-1)[::stride].astype(int) - levels)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01
