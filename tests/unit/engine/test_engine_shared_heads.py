"""Encoders that share the heads of another one: loaded from two files, checked, trained and exported without them."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_zoo import ENCODER, GENERATOR

from pixel2style2pixel_cli.engine.loading import load_encoder_file, load_model
from pixel2style2pixel_cli.errors import IntegrityError, UsageError
from pixel2style2pixel_cli.networks.families import HEADS
from pixel2style2pixel_cli.networks.lite import LITE_UNITS, LITE_WIDTHS
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import EncoderSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.config import EncoderLosses, EncoderTraining, TaskData
from pixel2style2pixel_cli.training.data import Batch
from pixel2style2pixel_cli.training.encoder import EncoderTrainer, fit_channels
from pixel2style2pixel_cli.training.export import export_encoder
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.resolve import locate, resolve

CPU = torch.device("cpu")


@pytest.fixture
def zoo(task_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of ``tiny-superres`` the trunk alone; its heads are those of ``tiny-invert``."""
    zoo = tmp_path / "zoo"
    shutil.copytree(task_zoo, zoo)
    monkeypatch.setenv("P2S2P_ZOO", str(zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    write_encoder(zoo / "tiny-superres", with_heads=False)
    card = zoo / "tiny-superres" / "model.toml"
    card.write_text('heads_model = "tiny-invert"\n' + card.read_text())
    return zoo


def write_encoder(folder: Path, *, with_heads: bool) -> None:
    path = folder / "encoder.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    state = {key: value for key, value in load_file(path).items() if with_heads or not key.startswith(HEADS)}
    save_file(state, path, metadata=metadata)
    card = folder / "model.toml"
    text = re.sub(r'sha256 = ".*"', f'sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"', card.read_text())
    card.write_text(re.sub(r"(?m)^size = .*", f"size = {path.stat().st_size}", text))


def test_a_model_has_its_own_trunk_and_the_heads_it_names(zoo: Path) -> None:
    card = load_card(zoo / "tiny-superres")
    installed = resolve(card)
    assert installed.parts["heads"].name == "tiny-invert" and installed.parts["encoder"] is card
    model = load_model(installed, CPU, torch.float32)
    found = model.encoder.state_dict()
    lent = load_file(zoo / "tiny-invert" / "encoder.safetensors")
    own = load_file(zoo / "tiny-superres" / "encoder.safetensors")
    for key, value in found.items():
        assert torch.equal(value, (lent if key.startswith(HEADS) else own)[key])
    assert not torch.equal(found["trunk.input_layer.0.weight"], lent["trunk.input_layer.0.weight"])
    assert set(model.weights_sha256) == {"encoder", "heads", "generator"}


@pytest.mark.parametrize("channels", [1, 3, 4, 19])
def test_encoders_on_lite0_share_the_end_of_their_trunk_too(tmp_path: Path, channels: int) -> None:
    """For a generator of more rows and another size than the other tests have, as the exporters write them."""
    torch.manual_seed(0)
    generator = Generator(dataclasses.replace(GENERATOR, resolution=2 * GENERATOR.resolution)).eval()
    rows, states = generator.spec.n_styles, []
    for name, width in (("lender", 3), ("borrower", channels)):
        spec = EncoderSpec(
            kind="lite", input_channels=width, input_size=64, units=LITE_UNITS, widths=LITE_WIDTHS, head_width=8
        )
        states.append(build_encoder(spec, rows, generator.spec.style_dim).state_dict())
        own = {key: x for key, x in states[-1].items() if name == "lender" or not key.startswith(spec.shared)}
        (tmp_path / name).mkdir()
        export_encoder(tmp_path / name, own, spec)
    paths = [tmp_path / name / "encoder.safetensors" for name in ("borrower", "lender")]
    loaded = load_encoder_file(paths[0], spec, generator, heads=paths[1])
    for key, value in loaded.state_dict().items():
        wanted = states[0] if key.startswith(("heads.", "trunk.blocks.14.", "trunk.blocks.15.")) else states[1]
        assert torch.equal(value, wanted[key].half().float())
    assert generator(loaded(torch.zeros(1, channels, 64, 64))).shape[-1] == generator.spec.resolution


def test_without_the_lender_the_model_is_not_installed(zoo: Path) -> None:
    (zoo / "tiny-invert" / "encoder.safetensors").unlink()
    assert locate(load_card(zoo / "tiny-superres")) is None


def test_a_lender_without_an_encoder_is_refused(zoo: Path) -> None:
    card = dataclasses.replace(load_card(zoo / "tiny-superres"), heads_model="tiny-generator")
    with pytest.raises(UsageError, match="takes its heads from tiny-generator, which has none"):
        locate(card)


def test_heads_in_both_files_are_refused(zoo: Path, task_zoo: Path) -> None:
    shutil.copyfile(task_zoo / "tiny-superres" / "encoder.safetensors", zoo / "tiny-superres" / "encoder.safetensors")
    write_encoder(zoo / "tiny-superres", with_heads=True)
    with pytest.raises(IntegrityError, match="has heads of its own"):
        load_model(resolve(load_card(zoo / "tiny-superres")), CPU, torch.float32)


def test_a_file_without_heads_needs_a_lender(zoo: Path) -> None:
    card = dataclasses.replace(load_card(zoo / "tiny-superres"), heads_model=None)
    with pytest.raises(IntegrityError, match="does not fit"):
        load_model(resolve(card), CPU, torch.float32)


def test_kept_heads_are_neither_trained_nor_exported(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = EncoderTraining(
        encoder=ENCODER, losses=EncoderLosses(l2=0, lpips=0, id=0, code=1), task=TaskData(heads="kept")
    )
    generator = Generator(GENERATOR)
    teacher = build_encoder(ENCODER, GENERATOR.n_styles, GENERATOR.style_dim)
    trainer = EncoderTrainer(config, generator, CPU, teacher=teacher)
    before = {key: value.clone() for key, value in trainer.encoder.state_dict().items()}
    trainer.step(Batch(torch.rand(2, 3, 32, 32), None, torch.ones(2, dtype=torch.bool)), 0)
    after = trainer.encoder.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in after if key.startswith(HEADS))
    assert not torch.equal(after["trunk.input_layer.0.weight"], before["trunk.input_layer.0.weight"])
    own, heads = (load_file(path) for path in trainer.export(tmp_path))
    assert not any(key.startswith(HEADS) for key in own) and all(key.startswith(HEADS) for key in heads)
    assert own.keys() | heads.keys() == after.keys()


@pytest.mark.parametrize("channels", [1, 3, 4, 19])
def test_an_input_layer_fits_other_channels(channels: int) -> None:
    weight, like = torch.randn(8, 3, 3, 3), torch.randn(8, channels, 3, 3)
    fitted = fit_channels(weight, like)
    assert fitted.shape == like.shape
    if channels == 1:
        grey = torch.rand(2, 1, 5, 5)
        expected = torch.nn.functional.conv2d(grey.expand(-1, 3, -1, -1), weight)
        torch.testing.assert_close(torch.nn.functional.conv2d(grey, fitted), expected)
    else:
        assert torch.equal(fitted[:, :3], weight) and torch.equal(fitted[:, 3:], like[:, 3:])
