"""``invert --passes`` of a ReStyle model: other codes, recorded, the same in a session; refused of other models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_run import Call, pixels, write_photos
from tiny_zoo import write_restyle_zoo

from pixel2style2pixel_cli import load
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.weights.latents import load_latents

NEVER = ("--align", "never", "--save-latents")


@pytest.fixture(scope="module")
def restyle_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_restyle_zoo(tmp_path_factory.mktemp("restyle"))


@pytest.fixture
def tiny_zoo(restyle_zoo: Path) -> Path:
    return restyle_zoo


def test_passes_are_made_recorded_and_the_same_in_a_session(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png"])
    for out, typed in (("usual", ()), ("two", ("--passes", "2")), ("four", ("--passes", "4"))):
        assert real("invert", "a.png", *NEVER, "--model", "tiny-restyle", *typed, "-o", out).code == 0
    assert np.array_equal(pixels(folder / "usual" / "a.png"), pixels(folder / "two" / "a.png"))
    two, four = (load_latents(folder / out / "a.safetensors").codes for out in ("two", "four"))
    assert not np.array_equal(two, four)
    for out, passes in (("usual", 2), ("two", 2), ("four", 4)):
        assert real("show", f"{out}/a.png", "--json").rows[0]["options"]["passes"] == passes
    again = real("invert", "a.png", *NEVER, "--model", "tiny-restyle", "-o", "four", "--skip-existing")
    assert "other options" in again.err
    with load("tiny-restyle", device="cpu") as session:
        assert np.array_equal(session.encode(folder / "a.png", align="never", passes=4), four)
        assert np.array_equal(session.invert(folder / "a.png", align="never", passes=4, optimize=0).codes, four)
        assert np.array_equal(session.encode(folder / "a.png", align="never"), two)


def test_passes_of_a_model_that_reads_a_picture_once_are_refused(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png"])
    found = real("invert", "a.png", *NEVER, "--model", "tiny-invert", "--passes", "3")
    assert found.code == 2
    assert found.problems == [
        (
            "--passes 3 is for ReStyle models, and tiny-invert is none: it reads a picture once",
            "leave --passes out, or name a ReStyle model with --model; p2s2p models list shows them",
        )
    ]
    assert not (folder / "p2s2p-out").exists()
    with load("tiny-invert", device="cpu") as session, pytest.raises(UsageError, match="is for ReStyle models"):
        session.invert(folder / "a.png", align="never", passes=3)


def test_other_tasks_make_the_passes_of_the_card(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png", "b.png"])
    line = ("mix", "a.png", "b.png", "--align", "never", "--model", "tiny-restyle", "--mix-layers", "4-")
    assert real(*line, "-o", "mixed.png", "--save-latents").code == 0
    assert real("show", "mixed.png", "--json").rows[0]["options"]["passes"] == 2
    assert real("invert", "a.png", *NEVER, "--model", "tiny-restyle", "-o", "a").code == 0
    mixed, own = (load_latents(folder / name).codes for name in ("mixed.safetensors", "a/a.safetensors"))
    assert np.array_equal(mixed[:4], own[:4])
