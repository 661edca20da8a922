"""LPIPS: the one door to the ``lpips`` package (Zhang et al. 2018).

Shape suffixes: B batch, C channels, H W height and width.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import IntegrityError, MissingError, in_one_line

Trunk = Literal["alex", "vgg"]


class PerceptualLoss(nn.Module):
    """LPIPS v0.1 of pictures (B, 3, H, W) in [-1, 1], averaged over the batch."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, image_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        distances: Tensor = self.network(image_BCHW, target_BCHW)
        return distances.mean()


def load_perceptual(trunk_file: Path, trunk: Trunk = "alex") -> PerceptualLoss:
    """LPIPS on a trunk read from a torchvision state dict; the layer weights come with the ``lpips`` package.

    Raises MissingError where the package or the file is absent, IntegrityError where the file is something else.
    """
    network = _build(trunk)
    if not trunk_file.is_file():
        raise MissingError(
            f"LPIPS needs the {trunk} network of torchvision, but there is no file {trunk_file}",
            "put the file there, or train without LPIPS: --set losses.lpips=0",
        )
    _fill_trunk(network, _read_trunk(trunk_file), trunk_file)
    return PerceptualLoss(network)


def _read_trunk(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise IntegrityError(f"{path} cannot be read as a state dict", "name another file") from error
    if not isinstance(state, dict):
        raise IntegrityError(f"{path} holds {type(state).__name__}, expected a state dict", "name another file")
    return state


def _build(trunk: Trunk) -> nn.Module:
    try:
        import lpips
    except Exception as error:  # torchvision built for another torch fails here with whatever it meets first
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = f"torch {version('torch')}, torchvision {version('torchvision')}"
        except PackageNotFoundError:
            found = f"torch {version('torch')}, no torchvision"
        raise MissingError(
            f"the package lpips cannot be imported with {found}: {in_one_line(error)}",
            "install torch and torchvision of matching versions, or train without LPIPS: --set losses.lpips=0",
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package calls torchvision in a way of the past
        network: nn.Module = lpips.LPIPS(net=trunk, pnet_rand=True, verbose=False)
    return network


def _fill_trunk(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """torchvision's ``features.{i}`` are the layers ``{i}`` of the package's slices."""
    target: nn.Module = network.net  # type: ignore[assignment]
    wanted = {key: f"features.{key.split('.', 1)[1]}" for key in target.state_dict()}
    missing = sorted(set(wanted.values()) - set(state))
    if missing:
        raise IntegrityError(
            f"{path} lacks {missing[0]}: it is not the expected network of torchvision", "name another file"
        )
    try:
        target.load_state_dict({ours: state[theirs] for ours, theirs in wanted.items()}, strict=True)
    except RuntimeError as error:
        raise IntegrityError(
            f"the layers in {path} have other sizes than expected: {in_one_line(error)}", "name another file"
        ) from error
