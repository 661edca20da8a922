"""``p2s2p embed``: pictures, codes and noise maps found by optimisation, masks, the way there, and interrupts."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from real_run import Call, contents, pixels, write_photos
from task_inputs import write_mask
from tiny_zoo import GENERATOR, SIDE

from pixel2style2pixel_cli.fitting.image2stylegan import Embedded, Embedding
from pixel2style2pixel_cli.weights.latents import load_latents

ROOT = Path(__file__).parents[2]
NEVER = ("--align", "never", "-o", "out")


def error(folder: Path, name: str) -> float:
    """Mean squared grey levels between a picture and its photograph, both small."""
    made = Image.open(folder / "out" / f"{name}.png")
    photo = Image.open(folder / f"{name}.png").resize(made.size, Image.Resampling.BOX)
    return float(np.square(np.asarray(made, float) - np.asarray(photo, float)).mean())


def test_pictures_come_nearer_than_their_start_and_say_how(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png", "b.png"])
    assert real("embed", "a.png", "b.png", *NEVER, "--steps", "1", "--overwrite").code == 0
    before = [error(folder, name) for name in "ab"]
    result = real("embed", "a.png", "b.png", *NEVER, "--steps", "40", "--overwrite", "--save-latents", "--json")
    assert result.code == 0, result.err
    assert [error(folder, name) < 0.8 * was for name, was in zip("ab", before, strict=True)] == [True, True]
    for row in result.rows[:-1]:
        assert row["metrics"]["steps"] == 40 and row["metrics"]["loss"] > 0
    assert "compared by a pyramid of pixels" in result.err
    latent = load_latents(folder / "out" / "a.safetensors")
    assert latent.codes.shape == (GENERATOR.n_styles, GENERATOR.style_dim) and latent.noise is None
    recipe = real("show", "out/a.png", "--json").rows[0]
    options = recipe["options"]
    assert (options["steps"], options["steps_made"], options["space"], options["start"]) == (40, 40, "w+", "average")
    alone = real("embed", "b.png", "--align", "never", "-o", "alone.png", "--steps", "40")
    assert alone.code == 0 and np.array_equal(pixels(folder / "alone.png"), pixels(folder / "out" / "b.png"))


@pytest.mark.parametrize("space", ["w", "z"])
def test_codes_in_narrower_spaces_have_one_row(real: Call, folder: Path, space: str) -> None:
    write_photos(folder, ["a.png"])
    line = ("embed", "a.png", *NEVER, "--steps", "5", "--save-latents", "--space", space, "--start", "random")
    assert real(*line, "--seed", "3").code == 0
    codes = load_latents(folder / "out" / "a.safetensors").codes
    assert np.array_equal(codes, np.broadcast_to(codes[:1], codes.shape))
    assert real(*line, "--seed", "4", "--overwrite").code == 0
    assert not np.array_equal(codes, load_latents(folder / "out" / "a.safetensors").codes)


def test_noise_maps_are_saved_and_left_out_elsewhere(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png"])
    steps = ("--steps", "4", "--noise-steps", "4", "--save-latents", "--snapshots")
    result = real("embed", "a.png", *NEVER, *steps)
    assert result.code == 0, result.err
    assert set(contents(folder / "out")) == {"a.png", "a.safetensors", "a_steps.webp"}
    latent = load_latents(folder / "out" / "a.safetensors")
    assert latent.noise is not None and [len(map_) for map_ in latent.noise] == list(GENERATOR.noise_sizes)
    assert real("show", "out/a.safetensors", "--json").rows[0]["noise_maps"] == list(GENERATOR.noise_sizes)
    with Image.open(folder / "out" / "a_steps.webp") as film:
        assert film.n_frames >= 8 and film.size == (SIDE, SIDE)  # type: ignore[attr-defined]
    mixed = real("mix", "out/a.safetensors", "--mix-seed", "1", "-o", "mixed", "-v")
    assert mixed.code == 0 and "its own noise maps are left out" in mixed.err


def test_what_is_masked_does_not_count(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png"])
    side = Image.open(folder / "a.png").size[0]
    box = (side // 4, side // 4, side // 2, side // 2)
    write_mask(folder / "mask.png", side=side, box=box)
    painted = Image.open(folder / "a.png").convert("RGB")
    painted.paste((255, 0, 255), box)
    painted.save(folder / "painted.png")
    (folder / "masks").mkdir()
    for name in ("a", "painted"):
        Image.open(folder / "mask.png").save(folder / "masks" / f"{name}.png")
    line = (*NEVER, "--steps", "6", "--save-latents", "--mask")
    assert real("embed", "a.png", "painted.png", *line, "masks").code == 0
    codes = [load_latents(folder / "out" / f"{name}.safetensors").codes for name in ("a", "painted")]
    # The edge of the paint runs through a few pixels of the reduced picture.
    plain = real("embed", "painted.png", "-o", "plain", "--align", "never", "--steps", "6", "--save-latents")
    assert plain.code == 0
    unmasked = load_latents(folder / "plain" / "painted.safetensors").codes
    assert np.abs(codes[0] - codes[1]).mean() < 0.5 * np.abs(codes[0] - unmasked).mean()
    write_mask(folder / "small.png", side=side // 2, box=(2, 2, 9, 9))
    wrong = real("embed", "a.png", "-o", "x.png", "--align", "never", "--mask", "small.png", "-q")
    assert wrong.code == 3 and f"is {side // 2} x {side // 2}, the photograph a.png is" in wrong.problems[0][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "--steps is '0', expected a whole number of at least 1"),
        (["--steps", "-5"], "--steps is '-5', expected"),
        (["--noise-steps", "-1"], "--noise-steps is '-1', expected"),
        (["--rate", "nan"], "--rate is 'nan', expected"),
        (["--rate", "0"], "--rate is '0', expected"),
        (["--space", "y"], "--space is 'y', expected w+, w or z"),
        (["--space", "z", "--start", "encoder"], "an encoder finds no code in Z"),
        (["--mask", "nowhere.png"], "the mask nowhere.png does not exist"),
        (["-o", "x.gif"], "pictures of kind .gif cannot be written: embed draws no animation, so x.gif"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(real: Call, folder: Path, arguments: list[str], message: str) -> None:
    write_photos(folder, ["a.png"])
    result = real("embed", "a.png", *arguments, "-q")
    ((found, _),) = result.problems
    assert result.code == 2 and found.startswith(message)
    assert set(contents(folder)) == {"a.png"}


def test_lpips_that_is_not_installed_is_named(
    real: Call, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "empty"))
    write_photos(folder, ["a.png"])
    result = real("embed", "a.png", *NEVER, "--perceptual", "lpips", "-q")
    ((found, hint),) = result.problems
    assert result.code == 4 and "alexnet-owt-7be5be79.pth" in found
    assert "models pull lpips-alexnet" in hint and "--perceptual features" in hint


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_more_than_fits_into_memory_loses_nothing(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The allocation that fails is torch's own: a picture whose optimisation wants more than there is."""
    write_photos(folder, ["a.png", "b.png", "c.png"])
    run, calls = Embedding.run, []

    def run_out(self: Embedding, *given: Any) -> Embedded:
        calls.append(given)
        if len(calls) == 2:
            torch.empty(2**60, dtype=torch.uint8)
        return run(self, *given)

    monkeypatch.setattr(Embedding, "run", run_out)
    line = ("embed", "a.png", "b.png", "c.png", *NEVER, "--steps", "2")
    result = real(*line, "-q")
    ((error, hint),) = result.problems
    assert result.code == 5 and "ran out of memory with a single picture" in error and hint
    assert set(contents(folder / "out")) == {"a.png"}
    resumed = real(*line, "--skip-existing", "--json")
    assert resumed.code == 0 and [row["status"] for row in resumed.rows[:-1]] == ["skipped", "ok", "ok"]


def test_an_interrupt_keeps_the_best_code_and_says_so(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png", "b.png"])
    options = ("a.png", "b.png", *NEVER, "--steps", "100000", "--no-early-stop", "--save-latents")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "pixel2style2pixel_cli", "embed", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("compared by"):
                break
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        err = "".join([*lines, process.communicate(timeout=60)[1]])
    assert process.returncode == 130, err
    assert set(contents(folder / "out")) == {"a.png", "a.safetensors"}
    made = json.loads(load_latents(folder / "out" / "a.safetensors").recipe or "")["options"]["steps_made"]
    assert 0 < made < 100000
    assert f"warning: a.png: stopped after {made} of 100000 steps; the best code until then is kept" in err
    words = shlex.split(err.split("interrupted; resume with:\n")[1])
    assert words[:3] == ["p2s2p", "embed", "--skip-existing"]
    rest = [("3" if word == "100000" else word) for word in words[1:]]
    resumed = real(*rest, "--json")
    assert resumed.code == 0 and [row["status"] for row in resumed.rows[:-1]] == ["skipped", "ok"]
    assert "kept, but made with other options" in resumed.rows[0]["message"]
