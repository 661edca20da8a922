"""Rendered faces, photographs made of them, and the detector, loaded once."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixel2style2pixel_cli.face.detect import Detector
from pixel2style2pixel_cli.face.detectors import load_detector

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="session")
def landmarks() -> Path:
    """The landmark file, found without importing the package it lies in."""
    files = metadata.distribution("face_recognition_models").files or []
    found = [file for file in files if file.name == "shape_predictor_68_face_landmarks.dat"]
    return Path(str(found[0].locate()))


@pytest.fixture(scope="session")
def detector(landmarks: Path) -> Detector:
    return load_detector("dlib", landmarks=landmarks)


@pytest.fixture(scope="session")
def faces() -> list[Image.Image]:
    """Four rendered FFHQ-style crops of 128 px."""
    return [Image.open(path).convert("RGB") for path in sorted(DATA.glob("face_*.webp"))]


@pytest.fixture(scope="session")
def two_faces(faces: list[Image.Image]) -> np.ndarray:
    """A larger face on the right, a smaller one on the left."""
    canvas = Image.new("RGB", (360, 200), (96, 110, 124))
    canvas.paste(faces[1].resize((96, 96), Image.Resampling.LANCZOS), (20, 60))
    canvas.paste(faces[0].resize((176, 176), Image.Resampling.LANCZOS), (170, 12))
    return np.array(canvas)


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """NASA portrait of Eileen Collins, public domain, part of scikit-image."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut())
