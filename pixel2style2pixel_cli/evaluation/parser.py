"""A trained face parser: which part of the face each pixel of a picture shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from pixel2style2pixel_cli.errors import InputError, MissingError
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK_19
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.networks.face_parser import SIDES, FaceParser

Pixels = NDArray[np.uint8]
AT_ONCE = 16
_HINT = "name a file that benchmarks/tasks.py --train-parser wrote"


class Parser:
    """uint8 pictures of any size to uint8 maps (S, S) in CelebAMask-HQ's numbers, S being the side it was trained at.

    ``record`` says how it was trained and what it is worth on pictures that it did not see. Raises MissingError for a
    file that is not there, InputError for one that is no parser.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise MissingError(f"there is no face parser {display(path)}", _HINT)
        try:
            with safe_open(path, framework="pt") as file:
                self.record: dict[str, Any] = json.loads((file.metadata() or {})["record"])
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dictionary
            self.size = int(self.record["size"])
            if self.size <= 0 or self.size % SIDES:
                raise ValueError(self.size)
            self.network = FaceParser(CELEBAMASK_19.count).eval()
            self.network.load_state_dict(weights)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{display(path)} is no face parser", _HINT) from error

    def __call__(self, pictures: Sequence[Pixels]) -> list[Pixels]:
        """The maps of pictures (H, H, 3)."""
        return parse(self.network, [resize_photo(picture, self.size) for picture in pictures])


@torch.no_grad()
def parse(network: FaceParser, pictures: Sequence[Pixels]) -> list[Pixels]:
    """The most likely class of every pixel of pictures of one size."""
    maps: list[Pixels] = []
    for start in range(0, len(pictures), AT_ONCE):
        maps += list(network(to_float(pictures[start : start + AT_ONCE])).argmax(dim=1).to(torch.uint8).numpy())
    return maps
