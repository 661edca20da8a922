"""The landmark file: found without importing its package, and refused when it is another file."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from pixel2style2pixel_cli.errors import IntegrityError, MissingError
from pixel2style2pixel_cli.zoo import landmarks
from pixel2style2pixel_cli.zoo.landmarks import LANDMARK_FILE, LANDMARK_SHA256, find_landmarks
from pixel2style2pixel_cli.zoo.verify import sha256_file


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    return tmp_path


def no_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)


def test_the_installed_file_is_found_without_an_import() -> None:
    path = find_landmarks()
    assert path.name == LANDMARK_FILE
    assert sha256_file(path) == LANDMARK_SHA256
    assert "face_recognition_models" not in sys.modules


def test_absent_says_name_hash_and_what_to_type(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    no_distribution(monkeypatch)
    with pytest.raises(MissingError) as caught:
        find_landmarks()
    assert LANDMARK_FILE in caught.value.message
    assert LANDMARK_SHA256 in caught.value.message
    assert "pip install face_recognition_models" in caught.value.hint
    assert str(home / "landmarks") in caught.value.hint


def test_the_own_folder_and_a_wrong_file(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    no_distribution(monkeypatch)
    (home / "landmarks").mkdir()
    path = home / "landmarks" / LANDMARK_FILE
    path.write_bytes(b"another file")
    with pytest.raises(IntegrityError) as caught:
        find_landmarks()
    assert sha256_file(path) in caught.value.message
    monkeypatch.setattr(landmarks, "LANDMARK_SHA256", sha256_file(path))
    assert find_landmarks() == path
