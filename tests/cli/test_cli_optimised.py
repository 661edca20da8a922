"""``--optimize`` of the tasks whose input says what the picture has to look like: the loss falls where it is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import Call, contents, pixels, write_photos
from task_inputs import write_mask
from tiny_zoo import SIDE

from pixel2style2pixel_cli.weights.latents import load_latents

NEVER = ("--align", "never", "--save-latents")


@pytest.fixture
def tiny_zoo(task_zoo: Path) -> Path:
    return task_zoo


def small(path: Path, side: int) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB").resize((side, side), Image.Resampling.BOX)).astype(float)


def codes(path: Path) -> np.ndarray:
    return load_latents(path).codes


def test_inpaint_comes_nearer_outside_the_hole(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png"])
    side = Image.open(folder / "a.png").size[0]
    box = (side // 4, side // 4, side // 2, side // 2)
    write_mask(folder / "mask.png", side=side, box=box)
    painted = Image.open(folder / "a.png").convert("RGB")
    painted.paste((0, 255, 0), box)
    painted.save(folder / "painted.png")
    line = ("inpaint", *NEVER, "--mask", "mask.png", "--no-keep")
    for out, steps in (("without", "0"), ("with", "30")):
        assert real(*line, "a.png", "-o", out, "--optimize", steps).code == 0
    known = np.ones((SIDE, SIDE), bool)
    known[SIDE // 4 - 1 : SIDE // 2 + 2, SIDE // 4 - 1 : SIDE // 2 + 2] = False
    wanted = small(folder / "a.png", SIDE)
    before, after = (
        float(np.square(pixels(folder / out / "a.png") - wanted)[known].mean()) for out in ("without", "with")
    )
    assert after < 0.8 * before
    assert real(*line, "painted.png", "-o", "other", "--optimize", "30").code == 0
    difference = np.abs(codes(folder / "other" / "painted.safetensors") - codes(folder / "with" / "a.safetensors"))
    moved = np.abs(codes(folder / "with" / "a.safetensors") - codes(folder / "without" / "a.safetensors"))
    assert difference.mean() < 0.3 * moved.mean()
    assert real("show", "with/a.png", "--json").rows[0]["options"]["optimize"] == 30


@pytest.mark.parametrize("factor", [1, 4])
def test_superres_meets_the_small_face(real: Call, folder: Path, factor: int) -> None:
    write_photos(folder, ["a.png"])
    tiny = Image.open(folder / "a.png").convert("RGB").resize((8, 8), Image.Resampling.BOX)
    name, options = ("tiny.png", ()) if factor == 1 else ("a.png", ("--factor", "4"))
    tiny.save(folder / "tiny.png")
    for out, steps in (("without", "0"), ("with", "30")):
        assert real("superres", *NEVER, name, "-o", out, "--optimize", steps, *options).code == 0
    wanted = np.asarray(tiny).astype(float)
    errors = [float(np.square(small(folder / out / name, 8) - wanted).mean()) for out in ("without", "with")]
    assert errors[1] < 0.7 * errors[0]


def test_mix_optimises_content_and_style(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png", "b.png"])
    for name in "ab":
        assert real("invert", f"{name}.png", *NEVER, "-o", "alone", "--optimize", "4").code == 0
    assert real("mix", "a.png", "b.png", *NEVER, "-o", "x.png", "--optimize", "4", "--mix-layers", "4-").code == 0
    found = codes(folder / "x.safetensors")
    assert np.array_equal(found[:4], codes(folder / "alone" / "a.safetensors")[:4])
    assert np.array_equal(found[4:], codes(folder / "alone" / "b.safetensors")[4:])
    assert {"x.png", "x.safetensors"} <= set(contents(folder))
