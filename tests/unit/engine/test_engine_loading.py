"""Weight files and cards to modules: strictly, with the spec from the file, nothing but named errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_zoo import ENCODER, GENERATOR

from pixel2style2pixel_cli.engine.loading import load_generator, load_generator_file, load_model
from pixel2style2pixel_cli.errors import IntegrityError
from pixel2style2pixel_cli.networks.specs import GeneratorSpec
from pixel2style2pixel_cli.weights.header import METADATA_KEY
from pixel2style2pixel_cli.weights.read import read_laid_out
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.resolve import resolve

CPU = torch.device("cpu")


@pytest.fixture
def zoo(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    return tiny_zoo


def test_a_card_becomes_a_model(zoo: Path) -> None:
    model = load_model(resolve(load_card(zoo / "tiny-invert")), CPU, torch.float32)
    assert (model.encoder_spec, model.generator_spec) == (ENCODER, GENERATOR)
    for network in (model.encoder, model.generator):
        assert not network.training and not any(p.requires_grad for p in network.parameters())
        assert not any(t.is_meta for t in network.state_dict().values())
    stored = load_file(zoo / "tiny-invert" / "encoder.safetensors")
    state = model.encoder.state_dict()
    assert state.keys() == stored.keys() and all(torch.equal(state[key], value) for key, value in stored.items())
    assert model.label == f"tiny-invert@{model.weights_sha256['encoder'][:4]}"
    codes = model.encoder(torch.zeros(1, 3, 32, 32))
    assert torch.isfinite(model.generator(codes)).all()


def test_bfloat16_reaches_every_floating_tensor(zoo: Path) -> None:
    model = load_model(resolve(load_card(zoo / "tiny-invert")), CPU, torch.bfloat16)
    states = (model.encoder.state_dict(), model.generator.state_dict())
    assert {t.dtype for state in states for t in state.values() if t.is_floating_point()} == {torch.bfloat16}
    assert torch.isfinite(model.encoder(torch.zeros(1, 3, 32, 32, dtype=torch.bfloat16))).all()


def test_one_generator_by_card_by_the_card_that_uses_it_and_by_file(zoo: Path) -> None:
    by_card, digest = load_generator(resolve(load_card(zoo / "tiny-generator")), CPU, torch.float32)
    by_user, same = load_generator(resolve(load_card(zoo / "tiny-invert")), CPU, torch.float32)
    by_file, again = load_generator_file(zoo / "tiny-generator" / "generator.safetensors", CPU, torch.float32)
    assert digest == same == again
    codes = torch.randn(1, GENERATOR.n_styles, GENERATOR.style_dim)
    assert torch.equal(by_card(codes), by_user(codes)) and torch.equal(by_card(codes), by_file(codes))


def rewritten(zoo: Path, folder: Path, role: str = "generator", drop: str = "", **changes: object) -> Path:
    source = zoo / ("tiny-generator" if role == "generator" else "tiny-invert") / f"{role}.safetensors"
    content: dict[str, object] = {"kind": role, "spec": {"resolution": 32}} | changes
    content |= {"digest": "d", "licence": "mit", "source_sha256": ""}
    state = {key: value for key, value in load_file(source).items() if key != drop}
    save_file(state, folder / "x.safetensors", metadata={METADATA_KEY: json.dumps(content)})
    return folder / "x.safetensors"


def test_files_that_are_something_else(zoo: Path, tmp_path: Path) -> None:
    def load(path: Path, expect: GeneratorSpec | None = None) -> None:
        load_generator_file(path, CPU, torch.float32, expect=expect)

    with pytest.raises(IntegrityError, match="weights of kind encoder, expected generator"):
        load(rewritten(zoo, tmp_path, "encoder"))
    with pytest.raises(IntegrityError, match="colour is not a known key"):
        load(rewritten(zoo, tmp_path, spec={"resolution": 32, "colour": "red"}))
    with pytest.raises(IntegrityError, match="does not fit"):
        load(rewritten(zoo, tmp_path, spec={"resolution": 64}))
    with pytest.raises(IntegrityError, match=r"does not fit(.|\n)*constant"):
        spec = {name: getattr(GENERATOR, name) for name in GENERATOR.__slots__}
        load(rewritten(zoo, tmp_path, drop="constant", spec=spec))
    other = GeneratorSpec(resolution=64)
    with pytest.raises(IntegrityError, match="the card says GeneratorSpec\\(resolution=64"):
        load(zoo / "tiny-generator" / "generator.safetensors", other)
    save_file({"a": torch.zeros(1)}, tmp_path / "plain.safetensors")
    with pytest.raises(IntegrityError, match="none of ours"):
        load(tmp_path / "plain.safetensors")
    (tmp_path / "html.safetensors").write_text("<!doctype html>")
    with pytest.raises(IntegrityError, match="cannot be read"):
        load(tmp_path / "html.safetensors")
    with pytest.raises(IntegrityError, match="cannot be read"):
        load(tmp_path / "absent.safetensors")


def test_tensors_are_read_one_by_one_in_the_layout_of_convolutions(tmp_path: Path) -> None:
    state = {
        "weight": torch.randn(4, 3, 3, 3), "half": torch.randn(5).half(), "steps": torch.tensor(7),
        "nothing": torch.empty(0, 3),
    }  # fmt: skip
    save_file(state, tmp_path / "x.safetensors")
    read = read_laid_out(tmp_path / "x.safetensors", torch.float32)
    assert read.keys() == state.keys() and read["weight"].is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(read[key], value.float() if key == "half" else value) for key, value in state.items())
    assert read["steps"].dtype == torch.int64 and read["half"].dtype == torch.float32
    whole = (tmp_path / "x.safetensors").read_bytes()
    for damaged in (whole[:-4], b"", b"no weights", whole.replace(b'"F32"', b'"F13"')):
        (tmp_path / "x.safetensors").write_bytes(damaged)
        with pytest.raises(IntegrityError, match="cannot be read"):
            read_laid_out(tmp_path / "x.safetensors", torch.float32)
