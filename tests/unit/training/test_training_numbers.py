"""Every number of every preset: what is no number, not finite or out of all proportion is refused by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.training.config import EncoderTraining, load_training
from pixel2style2pixel_cli.training.joint_config import load_generator_training

PRESETS = ("mini-adversarial", "mini-autoencoder", "mini-joint", "stylegan2-128", "lite-invert", "psp-seg2face")
BELOW_ZERO = {"ada.target", "encoder.stage"}
NEVER = (
    "nan",
    "inf",
    "-inf",
    "-1e30",
    "1e300",
    "-99999999999999999999",
    "9" * 400,
    "9" * 5000,
    "true",
    "[1]",
    "{}",
    "x",
)


def load(preset: str, **overrides: str) -> Any:
    if preset.startswith(("lite", "psp")):
        return load_training(EncoderTraining, "encoder", preset, overrides)
    return load_generator_training(preset, overrides)


def numbers(config: Any, section: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a configuration with its key, of the first two levels: those that --set reaches."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value) and not section:
            yield from numbers(value, f"{field.name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield section + field.name, value


@pytest.mark.parametrize("preset", PRESETS)
def test_no_number_of_a_preset_is_taken_unchecked(preset: str) -> None:
    found = dict(numbers(load(preset)))
    assert len(found) > 20
    for key, value in found.items():
        assert dict(numbers(load(preset, **{key: str(value)})))[key] == value
        for wrong in NEVER + (() if key in BELOW_ZERO else ("-1",)):
            with pytest.raises(UsageError, match=key.split(".")[0]) as caught:
                load(preset, **{key: wrong})
            assert len(caught.value.message) < 600


@pytest.mark.parametrize(
    ("preset", "key", "wrong"),
    [
        ("mini-joint", "joint.samples", "{start = nan, end = 1}"),
        ("mini-joint", "joint.samples", "{start = 0.5, end = -1}"),
        ("mini-joint", "joint.reconstructions", "{start = 0.5, end = 1, images = -5}"),
        ("mini-joint", "shown.blur", "{start = 3, end = inf}"),
        ("mini-joint", "spectrum.samples", "[nan, 1]"),
        ("mini-joint", "spectrum.samples", "[0.5]"),
        ("mini-autoencoder", "mapping.rate", "nan"),
        ("mini-autoencoder", "encoder.units", "[1, 1, 1, 100000000]"),
        ("mini-autoencoder", "encoder.units", "5"),
        ("mini-autoencoder", "encoder.widths", "[1, 1, 1, nan]"),
        ("mini-adversarial", "ada.target", "1.5"),
        ("mini-adversarial", "rates.beta1", "1.0"),
        ("mini-adversarial", "losses.style_mixing", "1.5"),
    ],
)
def test_numbers_inside_others(preset: str, key: str, wrong: str) -> None:
    with pytest.raises(UsageError):
        load(preset, **{key: wrong})


def test_a_file_that_is_no_settings(tmp_path: Any) -> None:
    path = tmp_path / "x.toml"
    for text in ("[" * 5000, "a = " + "[" * 5000, "a = " + "9" * 5000, "x = {" * 3000, "[run]\nsteps = nan"):
        path.write_text(text)
        with pytest.raises(UsageError):
            load_training(EncoderTraining, "encoder", str(path), {})
    with path.open("wb") as file:
        file.truncate(10_000_000)
    with pytest.raises(UsageError, match="larger than any file of settings"):
        load_training(EncoderTraining, "encoder", str(path), {})
    path.write_bytes(b"\xef\xbb\xbf[run]\nsteps = 7\n")
    assert load_training(EncoderTraining, "encoder", str(path), {}).run.steps == 7
