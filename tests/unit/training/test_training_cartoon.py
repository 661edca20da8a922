"""The cartoon filter: shape and range, nothing at strength 0, what it promises of tones, lines and eyes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import ShapeError
from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK, mirror_labels
from pixel2style2pixel_cli.training.cartoon import _clear_eyes, _enlarge_eyes, _posterise, cartoon
from pixel2style2pixel_cli.training.data import PictureSource

SIDE = 64


def face() -> tuple[Tensor, Tensor]:
    """A disc of skin with two eyes on a noisy ground, and its label map; not symmetric."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[(rows - 34) ** 2 + (columns - 30) ** 2 < 24**2] = CELEBAMASK.index("skin")
    labels[((rows - 28) / 2) ** 2 + ((columns - 22) / 5) ** 2 < 1] = CELEBAMASK.index("l_eye")
    labels[((rows - 29) / 2) ** 2 + ((columns - 40) / 5) ** 2 < 1] = CELEBAMASK.index("r_eye")
    colours = np.full((19, 3), (200, 150, 120))
    colours[0], colours[4], colours[5] = (40, 80, 120), (230, 230, 230), (225, 225, 235)
    noise = np.random.default_rng(0).integers(-12, 13, (SIDE, SIDE, 3))
    return to_float([(colours[labels] + noise).astype(np.uint8)]), torch.from_numpy(labels)[None]


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("side", [32, 64, 160])
def test_shape_and_range_are_kept(side: int, labelled: bool) -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, side, side) * 2 - 1
    labels = torch.randint(0, 19, (2, side, side), dtype=torch.uint8) if labelled else None
    before = image.clone()
    drawn = cartoon(image, 1.0, labels)
    assert drawn.shape == image.shape and drawn.dtype == image.dtype and bool(torch.isfinite(drawn).all())
    assert float(drawn.min()) >= -1 and float(drawn.max()) <= 1
    assert torch.equal(image, before) and torch.equal(drawn, cartoon(image, 1.0, labels))
    assert torch.allclose(cartoon(image[1:], 1.0, None if labels is None else labels[1:]), drawn[1:], atol=1e-5)


@pytest.mark.parametrize("labelled", [False, True])
def test_strength_goes_from_nothing_to_everything(labelled: bool) -> None:
    image, labels = face()
    drawings = [cartoon(image, s, labels if labelled else None) for s in (0.0, 0.01, 0.5, 1.0)]
    distances = [float((drawn - image).abs().mean()) for drawn in drawings]
    assert distances[0] == 0 and distances == sorted(distances)
    assert distances[1] < 0.05 * distances[3]


@pytest.mark.parametrize("labelled", [False, True])
def test_the_drawing_of_a_mirrored_picture_is_mirrored(labelled: bool) -> None:
    image, labels = face()
    mirrored = torch.from_numpy(mirror_labels(labels[0].numpy()).copy())[None] if labelled else None
    drawn = cartoon(image, 1.0, labels if labelled else None)
    flipped = cartoon(image.flip(-1), 1.0, mirrored).flip(-1)
    assert float((drawn - flipped).abs().mean()) < 0.01


def test_surfaces_become_flat_and_borders_stay() -> None:
    image, labels = face()
    drawn = cartoon(image, 1.0, labels)
    skin = (slice(None), slice(None), slice(42, 50), slice(25, 36))
    assert float(drawn[skin].std(dim=(2, 3)).max()) < 0.4 * float(image[skin].std(dim=(2, 3)).min())
    row = drawn[0, :, 40].mean(dim=0)  # across the cheek: a line at either border of the face
    for border in (7, 53):
        assert float(row[border - 2 : border + 3].min()) < float(row[[2, 30, 60]].min())


def test_colours_become_stronger() -> None:
    image = torch.tensor([0.4, 0.1, -0.1])[None, :, None, None].expand(1, 3, SIDE, SIDE)
    drawn = cartoon(image, 1.0)
    spread = [float(x[0, :, 9, 9].max() - x[0, :, 9, 9].min()) for x in (image, drawn)]
    assert spread[1] > 1.2 * spread[0]


def test_steps_of_tone_never_turn_round() -> None:
    tones = _posterise(torch.linspace(0, 1, 500).view(1, 1, 1, -1)).flatten()
    assert float(torch.diff(tones).min()) > -1e-6
    assert float((torch.diff(tones) < 5e-4).float().mean()) > 0.3  # flat for much of the way
    assert float(tones.min()) == pytest.approx(0, abs=1e-6) and float(tones.max()) == pytest.approx(1, abs=1e-6)


def test_eyes_grow_and_nothing_folds_over() -> None:
    _, labels = face()
    grid = _enlarge_eyes(labels, 1.0)
    across, down = torch.diff(grid[..., 0], dim=2), torch.diff(grid[..., 1], dim=1)
    assert float(across.min()) > 0 and float(down.min()) > 0
    even = 2 / SIDE
    assert even / float(across[0, 28, 21]) == pytest.approx(1.35, rel=0.05)
    assert even / float(down[0, 28, 22]) == pytest.approx(1.7, rel=0.1)
    assert torch.allclose(across[0, 55], torch.tensor(even), atol=1e-6)  # far from the eyes
    without = torch.where(labels > 3, 1, labels)
    assert torch.allclose(torch.diff(_enlarge_eyes(without, 1.0)[..., 0], dim=2), torch.tensor(even), atol=1e-6)


def test_whites_of_eyes_are_white_in_the_shadow_too() -> None:
    _, labels = face()
    eyes = (labels > 3)[:, None].float()
    tone = torch.where(eyes > 0, 0.3, 0.2)
    assert float(_clear_eyes(tone, eyes, 0.5)[eyes > 0].min()) > 0.9


def test_a_wrong_shape_is_refused() -> None:
    for shape in itertools.permutations((3, 8, 9)):
        if shape[0] != 3:
            with pytest.raises(ShapeError):
                cartoon(torch.zeros(1, *shape), 1.0)


def test_label_maps_are_read_where_all_pictures_have_one(discs: Path, tmp_path: Path) -> None:
    assert not PictureSource([discs], 32, labels="found").labelled
    with np.load(discs) as shard:
        arrays = {name: shard[name] for name in ("image_blob", "image_off")}
    from PIL import Image

    Image.fromarray(np.full((32, 32), 1, np.uint8)).save(tmp_path / "map.png")
    content = np.frombuffer((tmp_path / "map.png").read_bytes(), np.uint8)
    count = len(arrays["image_off"]) - 1
    masks = {"mask_blob": np.tile(content, count), "mask_off": np.arange(count + 1) * len(content)}
    np.savez(tmp_path / "labelled.npz", **arrays, **masks)
    whole = PictureSource([tmp_path / "labelled.npz"], 32, labels="found")
    labels = whole.batch([0, 1], [False, True]).labels
    assert whole.labelled and labels is not None and labels.shape == (2, 32, 32)
    mixed = [discs, tmp_path / "labelled.npz"]
    both = PictureSource(mixed, 32, labels="found")
    assert not both.labelled and len(both) == 2 * count and both.batch([0], [False]).labels is None
    some = PictureSource(mixed, 32, labels="required")
    assert some.labelled and len(some) == count
    assert whole.batch([0], [False]).labels is not None and PictureSource(mixed, 32).batch([0], [False]).labels is None
