"""FID as it is published (Heusel et al. 2017), by torchmetrics on the Inception network of torch-fidelity."""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import IntegrityError, MissingError
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.zoo.auxiliary import INCEPTION, networks

Pixels = NDArray[np.uint8]
FEATURES = 2048


class InceptionDistance:
    """FID between results and targets, fed pair by pair. Fewer pictures give a larger one: compare equal numbers.

    Raises MissingError where torchmetrics, torch-fidelity or the network's file are not installed, IntegrityError where
    the file is something else.
    """

    def __init__(self, network: torch.nn.Module | None = None) -> None:
        try:
            importlib.import_module("torch_fidelity")  # torchmetrics' network is made of it
            from torchmetrics.image.fid import FrechetInceptionDistance
        except ImportError as error:
            raise MissingError(
                f"FID is computed by torchmetrics and torch-fidelity, and {error.name} is not installed",
                "type: pip install 'pixel2style2pixel-cli[eval]'",
            ) from error
        if network is None:
            path = _network_file()
            self._metric = FrechetInceptionDistance(FEATURES, feature_extractor_weights_path=str(path))
        else:
            self._metric = FrechetInceptionDistance(network)
        self.pairs = 0

    def add(self, drawn: Pixels, target: Pixels) -> None:
        """One pair of pictures, uint8 (H, W, 3)."""
        for picture, real in ((drawn, False), (target, True)):
            pixels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
            self._metric.update(pixels[None], real=real)
        self.pairs += 1

    def value(self) -> float:
        """The distance of the pictures so far, of which there must be two pairs."""
        return float(self._metric.compute())


def _network_file() -> Path:
    """The file, after it was seen to be plain tensors: torch-fidelity would run whatever code it held."""
    path = networks()[INCEPTION].require("FID", "do without FID")
    try:
        torch.load(path, map_location="meta", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise IntegrityError(f"{display(path)} cannot be read as a state dict", "fetch it again") from error
    return path
