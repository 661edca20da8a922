"""Configurations: presets, files, ``--set``, and everything wrong said at once."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import ADVERSARIAL, AUTOENCODER, DISCRIMINATOR, ENCODER, GENERATOR, INVERSION

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.training.config import (
    Augmentation,
    EncoderRates,
    EncoderTraining,
    GeneratorLosses,
    GeneratorTraining,
    Rates,
    RunConfig,
    load_training,
    preset_names,
)
from pixel2style2pixel_cli.training.joint_config import load_generator_training
from pixel2style2pixel_cli.training.tables import differing_keys, from_table, to_json


@pytest.mark.parametrize("name", preset_names("generator"))
def test_generator_presets_load(name: str) -> None:
    config = load_generator_training(name, {})
    assert from_table(type(config), json.loads(_without_none(to_json(config)))) == config


@pytest.mark.parametrize("name", preset_names("encoder"))
def test_encoder_presets_load(name: str) -> None:
    config = load_training(EncoderTraining, "encoder", name, {})
    assert from_table(EncoderTraining, json.loads(_without_none(to_json(config)))) == config


def _without_none(text: str) -> str:
    return json.dumps({key: value for key, value in json.loads(text).items() if value is not None})


def test_the_encoder_of_a_preset_fits_the_generators() -> None:
    """The bundled encoder starts from the encoder of the generator's run."""
    generator = load_training(GeneratorTraining, "generator", "mini-autoencoder", {})
    assert load_training(EncoderTraining, "encoder", "mini-invert", {}).encoder == generator.encoder


def test_the_cartoon_generator_is_built_like_the_photographic_one() -> None:
    photo, toon = (load_training(GeneratorTraining, "generator", f"mini-{n}", {}) for n in ("autoencoder", "toon"))
    assert (toon.generator, toon.encoder, toon.discriminator) == (photo.generator, photo.encoder, None)
    assert (photo.losses.cartoon, toon.losses.cartoon) == (0.0, 1.0)
    assert (toon.rates.encoder, toon.rates.mapping) == (0.0, 0.0)


def test_values_are_replaced_one_by_one() -> None:
    changes = {"run.steps": "12", "rates.generator": "1", "run.precision": "float32", "encoder.units": "[1, 1, 1, 1]"}
    config = load_training(GeneratorTraining, "generator", "mini-autoencoder", changes)
    assert (config.run.steps, config.rates.generator, config.run.precision) == (12, 1.0, "float32")
    assert config.encoder is not None and config.encoder.units == (1, 1, 1, 1)
    before = load_training(GeneratorTraining, "generator", "mini-autoencoder", {})
    assert dataclasses.replace(config, run=before.run, rates=before.rates, encoder=before.encoder) == before


def test_a_file_in_place_of_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[encoder]\ninput_size = 64\n[run]\nflip = false\n")
    config = load_training(EncoderTraining, "encoder", str(path), {"losses.id": "0"})
    assert (config.encoder.input_size, config.run.flip, config.losses.id) == (64, False, 0.0)
    path.write_text("[run\n")
    with pytest.raises(UsageError, match=r"mine\.toml is not valid TOML"):
        load_training(EncoderTraining, "encoder", str(path), {})
    with pytest.raises(UsageError, match=r"no preset or configuration file .*absent\.toml"):
        load_training(EncoderTraining, "encoder", str(tmp_path / "absent.toml"), {})


def test_everything_unknown_is_reported_at_once() -> None:
    table = {
        "generator": {"resolution": 64, "size": 3},
        "run": {"stpes": 5, "batch": "four", "flip": 1, "precision": "half"},
        "encoder": {"units": [1, 1, "x", 1]},
        "looses": {},
    }
    with pytest.raises(UsageError) as caught:
        from_table(GeneratorTraining, table)
    for part in (
        "unknown key looses", "unknown key generator.size", "unknown key run.stpes",
        "run.batch is 'four', expected a whole number",
        "run.flip is 1, expected true or false", "run.precision is 'half', expected one of auto, float32, bfloat16",
        "encoder.units[2] is 'x', expected a whole number",
    ):  # fmt: skip
        assert part in caught.value.message
    with pytest.raises(UsageError, match=r"missing key generator\.resolution"):
        from_table(GeneratorTraining, {"generator": {}})
    with pytest.raises(UsageError, match="run is 5, expected a table"):
        from_table(EncoderTraining, {"run": 5})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"steps": "5"}, "--set steps=5: expected section.key=value"),
        ({"run.stps": "5"}, r"unknown key run\.stps"),
        ({"run.steps": "1.5"}, r"run\.steps is 1\.5, expected a whole number"),
        ({"run.steps": "0"}, r"run\.steps is 0, expected 1 or more"),
    ],
)
def test_bad_overrides(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_training(EncoderTraining, "encoder", "mini-invert", overrides)


def test_unknown_presets_list_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no preset or configuration file big") as caught:
        load_training(GeneratorTraining, "generator", "big", {})
    assert "mini-autoencoder" in caught.value.hint


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (RunConfig, {"batch": 0, "log_every": -1}, r"run\.batch is 0, run\.log_every is -1"),
        (RunConfig, {"held_out": -1}, r"run\.held_out is -1"),
        (GeneratorLosses, {"r1_every": 0}, r"losses\.r1_every is 0"),
        (GeneratorLosses, {"cartoon": 1.5}, r"losses\.cartoon is 1\.5, expected 0 to 1"),
        (Rates, {"ema_images": 0.0}, r"rates\.ema_images is 0"),
        (EncoderRates, {"warm_up": -1}, r"rates\.warm_up is -1"),
        (Augmentation, {"jpeg": 1.5}, r"augmentation\.jpeg is 1\.5, expected 0 to 1"),
        (GeneratorTraining, {"generator": GENERATOR}, "no loss teaches the generator"),
        (GeneratorTraining, {"generator": GENERATOR, "losses": AUTOENCODER.losses}, r"no \[encoder\]"),
        (GeneratorTraining, {"generator": GENERATOR, "losses": ADVERSARIAL.losses}, r"no \[discriminator\]"),
        (
            GeneratorTraining,
            {"generator": GENERATOR, "discriminator": DISCRIMINATOR,
             "losses": GeneratorLosses(adversarial=1, pair_latent=1)},
            r"need losses\.autoencode",
        ),
        (
            GeneratorTraining,
            {"generator": GENERATOR, "losses": ADVERSARIAL.losses,
             "discriminator": dataclasses.replace(DISCRIMINATOR, resolution=64)},
            "draws 32 px, the discriminator takes 64 px",
        ),
        (
            GeneratorTraining,
            {"generator": GENERATOR, "losses": AUTOENCODER.losses,
             "encoder": dataclasses.replace(ENCODER, input_channels=1)},
            "reads pictures",
        ),
    ],
)  # fmt: skip
def test_nonsense_is_refused(cls: type[Any], values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cls(**values)


def test_differing_keys() -> None:
    ours = to_json(INVERSION)
    assert differing_keys(ours, ours) == []
    other = dataclasses.replace(INVERSION, run=dataclasses.replace(INVERSION.run, batch=9))
    assert differing_keys(ours, to_json(other)) == ["run.batch"]
    older = json.loads(to_json(AUTOENCODER))
    del older["discriminator"]  # written before there was such a section
    assert differing_keys(json.dumps(older), to_json(AUTOENCODER)) == []
