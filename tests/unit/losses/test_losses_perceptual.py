"""LPIPS: what is said when the package or the trunk is not what it should be. Its numbers are in the parity tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from pixel2style2pixel_cli.errors import IntegrityError, MissingError
from pixel2style2pixel_cli.losses import perceptual


class Tiny(nn.Module):
    """In the place of the package's network: a trunk of one layer, named as the package names it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.ModuleDict({"slice1": nn.ModuleDict({"0": nn.Conv2d(3, 2, 1)})})

    def forward(self, image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (image - target).square().mean(dim=(1, 2, 3), keepdim=True)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Tiny:
    network = Tiny()
    monkeypatch.setattr(perceptual, "_build", lambda _trunk: network)
    return network


def test_the_trunk_is_filled_from_torchvisions_names(tiny: Tiny, tmp_path: Path) -> None:
    state = {
        "features.0.weight": torch.randn(2, 3, 1, 1),
        "features.0.bias": torch.randn(2),
        "classifier.x": torch.ones(1),
    }
    torch.save(state, tmp_path / "a.pth")
    loss = perceptual.load_perceptual(tmp_path / "a.pth")
    assert torch.equal(tiny.state_dict()["net.slice1.0.weight"], state["features.0.weight"])
    assert not any(p.requires_grad for p in loss.parameters()) and not loss.network.training
    image = torch.zeros(2, 3, 4, 4)
    image[0] = 2
    assert float(loss(image, torch.zeros_like(image))) == 2  # the mean over the batch of 4 and 0


def test_no_trunk(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"there is no file .*alex\.pth") as caught:
        perceptual.load_perceptual(tmp_path / "alex.pth")
    assert "losses.lpips=0" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!doctype html>", "cannot be read"),
        (torch.zeros(3), "holds Tensor"),
        ({"features.0.weight": torch.zeros(2, 3, 1, 1)}, r"lacks features\.0\.bias"),
        (
            {"features.0.weight": torch.zeros(2, 9, 1, 1), "features.0.bias": torch.zeros(2)},
            "have other sizes than expected",
        ),
    ],
)
def test_another_file(tiny: Tiny, tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "trunk.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(IntegrityError, match=message):
        perceptual.load_perceptual(path)


def test_a_package_that_does_not_import_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(MissingError, match=rf"lpips cannot be imported with torch {torch.__version__.split('+')[0]}"):
        perceptual.load_perceptual(tmp_path / "alex.pth")
