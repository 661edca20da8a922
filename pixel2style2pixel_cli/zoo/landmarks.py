"""The 68-point landmark file: found among installed files, checked once, never imported."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

from pixel2style2pixel_cli.errors import IntegrityError, MissingError
from pixel2style2pixel_cli.zoo.find import home_folder, is_readable_file
from pixel2style2pixel_cli.zoo.verify import remembered_sha256

LANDMARK_FILE = "shape_predictor_68_face_landmarks.dat"
LANDMARK_SHA256 = "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f"
DISTRIBUTION = "face_recognition_models"


def find_landmarks() -> Path:
    """Path of the landmark file whose sha256 is the known one; MissingError or IntegrityError otherwise."""
    wrong: list[str] = []
    for path in _candidates():
        if not is_readable_file(path):
            continue
        found = remembered_sha256(path)
        if found == LANDMARK_SHA256:
            return path
        wrong.append(f"{path} has sha256 {found}")
    hint = f"type: pip install {DISTRIBUTION}, or put the file into {home_folder() / 'landmarks'}"
    if wrong:
        raise IntegrityError(f"{'; '.join(wrong)}; expected {LANDMARK_SHA256}", f"remove it, then {hint}")
    raise MissingError(f"the landmark file {LANDMARK_FILE} (sha256 {LANDMARK_SHA256}) was not found", hint)


def _candidates() -> Iterator[Path]:
    """Where the file may lie: in the installed distribution, else in our own folder."""
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        # The package itself is never imported: its import needs pkg_resources, which current Pythons lack.
        yield Path(str(distribution.locate_file(f"{DISTRIBUTION}/models/{LANDMARK_FILE}")))
    yield home_folder() / "landmarks" / LANDMARK_FILE
