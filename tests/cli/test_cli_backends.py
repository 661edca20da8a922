"""``--backend``: who drew is in JSON and recipe, a missing package has its exit code, pictures are PyTorch's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import FACES, RealRun

from pixel2style2pixel_cli.engine import backends

Call = Callable[..., RealRun]
ARGUMENTS = ("--align", "never", "--optimize", 0, "--json")


@pytest.mark.parametrize("name", ["openvino", "onnx"])
def test_who_drew_is_said_and_the_pictures_are_the_same(
    name: str, real: Call, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not backends._is_installed(name):
        pytest.skip(f"{name} is not installed")
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "own"))  # what is prepared here must change no other test
    plain = real("invert", *FACES[:2], "-o", "torch", "--backend", "torch", *ARGUMENTS)
    found = real("invert", *FACES[:2], "-o", name, "--backend", name, *ARGUMENTS)
    assert (plain.code, found.code) == (0, 0)
    assert plain.rows[-1]["backend"] == "torch" and found.rows[-1]["backend"] == name
    for face in FACES[:2]:
        drawn, wanted = (Image.open(Path(each) / f"{face.stem}.png") for each in (name, "torch"))
        difference = np.abs(np.asarray(drawn).astype(int) - np.asarray(wanted).astype(int))
        assert difference.max() <= 1 and np.asarray(wanted).std() > 5
        assert json.loads(drawn.info["p2s2p"])["options"]["backend"] == name
    again = real("invert", *FACES[:2], "-o", name, "--backend", name, "--skip-existing", *ARGUMENTS)
    assert again.rows[-1]["skipped"] == 2 and "other" not in again.err
    other = real("invert", *FACES[:2], "-o", name, "--backend", "torch", "--skip-existing", *ARGUMENTS)
    assert [row["status"] for row in other.rows[:-1]] == ["skipped"] * 2
    assert other.rows != again.rows  # the pictures that are there were made otherwise, and that is said


def test_a_missing_package_ends_with_code_4(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_is_installed", lambda name: False)
    found = real("invert", FACES[0], "--backend", "openvino", "-o", "x.png", "--align", "never", "-q")
    assert found.code == 4 and not Path("x.png").exists()
    ((error, hint),) = found.problems
    assert "openvino" in error and "not installed" in error and "[openvino]" in hint


def test_an_unknown_backend_is_refused_before_anything(real: Call, folder: Path) -> None:
    found = real("invert", FACES[0], "--backend", "tensorflow")
    assert found.code == 2 and "openvino" in found.err


def test_threads_are_as_many_as_asked(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    given = ("invert", FACES[0], "--align", "never", "--optimize", 0)
    assert real(*given, "-o", "a.png", "--threads", 3).code == 0 and asked == [3]
    assert real(*given, "-o", "b.png").code == 0 and asked == [3]
    found = real(*given, "-o", "c.png", "--threads", 0, "-q")
    assert found.code == 2 and "threads" in found.problems[0][0]
