"""A face recogniser of ours by a file, a run folder or a model, as a module."""

from __future__ import annotations

from pathlib import Path

import torch

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.networks.faceid import FaceRecogniser
from pixel2style2pixel_cli.weights.digest import require_digest
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.weights.read import materialise, read_tensors
from pixel2style2pixel_cli.zoo.cards import CARD_FILE
from pixel2style2pixel_cli.zoo.find import find_card
from pixel2style2pixel_cli.zoo.resolve import resolve

FILE = "recogniser.safetensors"


def load_recogniser(name: str, device: torch.device | None = None) -> tuple[FaceRecogniser, str]:
    """A recogniser in float32, in evaluation mode and without gradients, and the digest of its file.

    Raises UsageError where there is none, IntegrityError where the file is damaged or of something else.
    """
    path = locate_recogniser(name)
    header = read_weight_header(path)
    spec = header.recogniser_spec()
    where = device or torch.device("cpu")
    module = materialise(lambda: FaceRecogniser(spec), read_tensors(path), path, where, torch.float32)
    return module.eval().requires_grad_(False), header.digest


def locate_recogniser(name: str) -> Path:
    """The verified file of a recogniser: a weight file of ours, a run folder that exported one, or a model."""
    path = Path(name).expanduser()
    if (path / FILE).is_file() and not (path / CARD_FILE).is_file():
        path = path / FILE
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise UsageError(f"no weight file {path}", f"name a {FILE}, or the folder of p2s2p train recogniser")
        require_digest(path)
        return path
    installed = resolve(find_card(name))
    if "recogniser" not in installed.files:
        raise UsageError(f"{name} is no face recogniser", f"name a {FILE}, or the folder of p2s2p train recogniser")
    return installed.checked_files["recogniser"]
