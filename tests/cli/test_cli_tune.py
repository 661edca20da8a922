"""``p2s2p tune``: what it writes, how the file is used like a model, how it goes on, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from real_run import Call, pixels, write_photos
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pixel2style2pixel_cli.fitting.tuning import Tuning
from pixel2style2pixel_cli.session import load
from pixel2style2pixel_cli.weights.latents import LatentFile, load_latents, save_latents

NEVER = ("--align", "never")
FEW = ("--steps", "6", "--locality", "0.1")


def error_of(path: Path, photo: Path) -> float:
    """Mean squared difference of a 32 px picture from the photograph it was made of."""
    small = Image.open(photo).convert("RGB").resize((32, 32), Image.Resampling.BOX)
    return float(np.square(pixels(path) - np.asarray(small).astype(int)).mean())


@pytest.fixture
def photos(folder: Path) -> Path:
    return write_photos(folder, ["a.png", "b.png"])


def test_the_tuned_model_draws_the_picture_and_is_used_like_any_model(real: Call, photos: Path) -> None:
    result = real("tune", "a.png", "b.png", *NEVER, "--steps", "40", "-o", "anna.safetensors", "--json")
    assert result.code == 0, result.err
    made = result.rows[-1]
    assert (made["event"], made["status"], made["output"], made["pictures"]) == ("tune", "ok", "anna.safetensors", 2)
    assert (photos / "anna.png").exists() and not list(photos.glob("*.unfinished"))
    with safe_open(photos / "anna.safetensors", framework="pt") as file:
        names = list(file.keys())
        assert all(str(file.get_tensor(name).dtype) == "torch.float16" for name in names if name != "pivots")
        assert not any("mapping" in name or "noise_0" in name for name in names)
    for name in "ab":
        for model, out in (("tiny-invert", "plain"), ("anna.safetensors", "tuned")):
            drawn = real("invert", f"{name}.png", *NEVER, "--model", model, "-o", f"{out}/{name}.png", "--save-latents")
            assert drawn.code == 0, drawn.err
        assert error_of(photos / f"tuned/{name}.png", photos / f"{name}.png") < 0.8 * error_of(
            photos / f"plain/{name}.png", photos / f"{name}.png"
        )
        codes = [load_latents(photos / f"{out}/{name}.safetensors").codes for out in ("plain", "tuned")]
        assert np.allclose(*codes, atol=1e-6), (
            "the picture is drawn from its pivot, which is a code of the old generator"
        )
    shown = real("show", "tuned/a.png", "--json").rows[0]
    assert shown["model"] == "tiny-invert+anna" and len(shown["weights_sha256"]["changes"]) == 64
    assert real("show", "anna.safetensors", "--json").rows[0]["part"] == "changes"
    for command in (("edit", "a.png", "--direction", "pca:0"), ("mix", "tuned/a.safetensors", "b.png")):
        done = real(*command, *NEVER, "--model", "anna.safetensors", "-o", f"{command[0]}.png")
        assert done.code == 0 and "model: tiny-invert+anna" in done.err, done.err
    session = load(photos / "anna.safetensors")
    again = session.invert(photos / "a.png", align="never")
    assert np.array_equal(again.array, pixels(photos / "tuned/a.png").astype(np.uint8))
    made_here = load("tiny-invert").tune(
        [Image.open(photos / "a.png"), photos / "b.png"], photos / "here.safetensors", align="never", steps=40
    )
    assert all(
        torch.equal(value, load_file(made_here)[name]) for name, value in load_file(photos / "anna.safetensors").items()
    )


def test_an_interrupted_tuning_keeps_the_best_and_goes_on(
    real: Call, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("tune", "a.png", "b.png", "c.png", *NEVER, *FEW)  # several: rows of codes are no block of memory
    write_photos(photos, ["c.png"])
    assert real(*command, "-o", "whole.safetensors").code == 0
    with monkeypatch.context() as patched:
        advance = Tuning.advance

        def stopped(self: Tuning) -> float:
            if self.step == 4:
                raise KeyboardInterrupt
            return advance(self)

        patched.setattr(Tuning, "advance", stopped)
        result = real(*command, "-o", "half.safetensors")
    assert result.code == 130, result.err
    assert "interrupted after 4 of 6 steps; the best so far, of step" in result.err
    assert "p2s2p tune a.png" in result.err and (photos / "half.safetensors.unfinished").exists()
    assert real("invert", "a.png", *NEVER, "--model", "half.safetensors", "-o", "x.png").code == 0
    other = real("tune", "a.png", "b.png", "c.png", *NEVER, "--steps", "7", "-o", "half.safetensors")
    assert other.code == 2 and "is of a tuning with other pictures or options" in other.err
    with monkeypatch.context() as patched:
        places: list[int] = []
        patched.setattr(Tuning, "advance", lambda self: (places.append(self.pivots.codes.data_ptr()), advance(self))[1])
        result = real(*command, "-o", "half.safetensors")
    assert result.code == 0 and "going on after step 4 of 6" in result.err
    assert places and not any(place % 64 for place in places), "where a file puts them, sums end in other last bits"
    whole, half = (load_file(photos / f"{name}.safetensors") for name in ("whole", "half"))
    assert whole.keys() == half.keys()
    assert all(torch.equal(whole[name], half[name]) for name in whole), "as if nothing had happened"
    assert not list(photos.glob("*.unfinished"))


def test_a_loss_that_is_no_number_ends_it_with_the_best_so_far(real: Call, photos: Path) -> None:
    result = real("tune", "a.png", *NEVER, "--steps", "300", "--rate", "1", "--locality", "0", "-o", "wild.safetensors")
    if result.code == 0:  # it has not blown up on this machine: then the best is written
        assert (photos / "wild.safetensors").exists()
        return
    assert result.code == 3 and "its loss is not a number" in result.err and "use a smaller --rate" in result.err


def test_pivots_of_w_and_of_files(real: Call, photos: Path) -> None:
    assert real("invert", "a.png", *NEVER, "-o", "a.safetensors.png", "--save-latents").code == 0
    assert real("tune", "a.png", *NEVER, *FEW, "--pivot", "w", "--pivot-steps", "10", "-o", "w.safetensors").code == 0
    pivot = load_file(photos / "w.safetensors")["pivots"][0]
    assert torch.equal(pivot, pivot[:1].expand_as(pivot)) and pivot.any()
    latent = load_latents(next(photos.glob("a*.safetensors")))
    save_latents(
        photos / "code.safetensors", LatentFile(codes=latent.codes + 0.5, space="W+", generator=latent.generator)
    )
    result = real(
        "tune", "a.png", *NEVER, *FEW, "--pivot", "code.safetensors", "--tune-layers", "0-1", "-o", "f.safetensors"
    )
    assert result.code == 0, result.err
    found = load_file(photos / "f.safetensors")
    assert np.allclose(found["pivots"][0], latent.codes + 0.5)
    assert {name.removeprefix("change.").split(".")[0] for name in found} <= {
        "constant",
        "conv_first",
        "to_rgb_first",
        "blocks",
        "pivots",
    }
    assert not any(name.startswith(("change.blocks.1", "change.blocks.0.conv.")) for name in found)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("a.png", "--steps", "0"), 2, "--steps is '0', expected a whole number from 1"),
        (("a.png", "--rate", "nan"), 2, "--rate is 'nan'"),
        (("a.png", "-o", "x.png"), 2, "x.png does not end in .safetensors"),
        (("a.png", "--pivot", "me.png"), 2, "the pivot 'me.png' is none"),
        (("a.png", "--pivot", "w", "--pivot", "other.safetensors"), 2, "do not go together"),
        (("a.png", "--pivot", "other.safetensors"), 3, "belongs to generator ffffffffffff"),
        (("a.png", "b.png", "--pivot", "own.safetensors"), 2, "1 pivots for 2 pictures"),
        (("a.png", "--pivot", "nan.safetensors"), 3, "codes that are not finite numbers"),
        (("a.png", "absent.png"), 3, "absent.png does not exist"),
        (("a.png", "broken.png"), 3, "broken.png"),
        (("a.png", "--model", "own.safetensors"), 2, "is tuned already"),
        (("a.png", "--tune-layers", "3-99"), 2, "go beyond the model's 8 rows"),
        (("a.png", "-o", "there.safetensors"), 2, "there.safetensors exists already"),
    ],
)
def test_refusals_have_two_lines(real: Call, photos: Path, options: tuple[str, ...], code: int, message: str) -> None:
    from tiny_zoo import tiny_model

    from pixel2style2pixel_cli.weights.digest import tensor_digest

    digest, codes = tensor_digest(tiny_model().generator), np.zeros((8, 32), np.float32)
    save_latents(photos / "own.safetensors", LatentFile(codes=codes, space="W+", generator=digest))
    save_latents(photos / "other.safetensors", LatentFile(codes=codes, space="W+", generator="f" * 64))
    with safe_open(photos / "own.safetensors", framework="np") as file:
        metadata = file.metadata()
    save_file({"w_plus": torch.full((8, 32), torch.nan)}, photos / "nan.safetensors", metadata)
    (photos / "broken.png").write_bytes(b"no picture")
    (photos / "there.safetensors").write_bytes(b"")
    before = sorted(path.name for path in photos.iterdir())
    result = real("tune", *options, *NEVER)
    assert result.code == code and message in result.err, result.err
    lines = [line for line in result.err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert len(lines) == 2 and sorted(path.name for path in photos.iterdir()) == before


def test_files_that_are_no_tuned_model_are_refused(real: Call, photos: Path, tiny_zoo: Path) -> None:
    assert real("tune", "a.png", *NEVER, *FEW, "-o", "anna.safetensors", "--no-picture").code == 0
    assert not (photos / "anna.png").exists()
    state = load_file(photos / "anna.safetensors")
    with safe_open(photos / "anna.safetensors", framework="pt") as file:
        metadata = file.metadata()
    told = json.loads(metadata["p2s2p"])
    save_file(state, photos / "other.safetensors", {"p2s2p": json.dumps({**told, "generator": "f" * 64})})
    damaged = bytearray((photos / "anna.safetensors").read_bytes())
    damaged[-5] ^= 0xFF
    (photos / "damaged.safetensors").write_bytes(damaged)
    for model, code, message in (
        ("absent.safetensors", 2, "there is no file absent.safetensors"),
        ("other.safetensors", 4, "changes generator ffffffffffff (of tiny-invert), and no installed model"),
        ("damaged.safetensors", 4, "the numbers in damaged.safetensors have digest"),
        (str(tiny_zoo / "tiny-generator" / "generator.safetensors"), 2, "holds weights of kind generator"),
    ):
        result = real("invert", "a.png", *NEVER, "--model", model, "-o", "x.png")
        assert result.code == code and message in result.err, result.err
        assert not (photos / "x.png").exists()
