"""``models blend`` for real: an installed generator of two tiny ones, its card, its terms, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from real_run import FACES, RealRun, pixels
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_zoo import BLANK, GENERATOR, tiny_model, write_zoo
from torch import Tensor

from pixel2style2pixel_cli.engine.loading import load_generator
from pixel2style2pixel_cli.install.blend_layers import blend_generators
from pixel2style2pixel_cli.networks.specs import GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.weights.digest import tensor_digest
from pixel2style2pixel_cli.weights.write import weight_metadata
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.find import find_card
from pixel2style2pixel_cli.zoo.resolve import resolve

Call = Callable[..., RealRun]


@pytest.fixture
def call(real: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """The command line with a home of its own, for what is installed."""
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    return real


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a training that exported another generator of the same sizes."""
    return write_generator(tmp_path / "toon", tiny_model(1).generator, GENERATOR)


def write_generator(folder: Path, state: dict[str, Tensor], spec: GeneratorSpec, licence: str = "mit") -> Path:
    folder.mkdir()
    metadata = weight_metadata("generator", dataclasses.asdict(spec), tensor_digest(state), licence, BLANK)
    save_file(state, folder / "generator.safetensors", metadata=metadata)
    return folder


def homes(tmp_path: Path) -> list[str]:
    folder = tmp_path / "home" / "models"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_blend_is_an_installed_model(call: Call, run: Path, tiny_zoo: Path, tmp_path: Path) -> None:
    result = call("models", "blend", "tiny-generator", run, "my-toon", "--at", "16", "--json")
    assert result.code == 0 and len(result.rows) == 1 and result.err == ""
    row = result.rows[0]
    assert (row["event"], row["name"], row["structure"], row["look"]) == ("blend", "my-toon", "tiny-generator", "toon")
    folder = tmp_path / "home" / "models" / "my-toon"
    assert homes(tmp_path) == ["my-toon"]
    assert {path.name for path in folder.iterdir()} == {"generator.safetensors", "installed.json", "model.toml"}
    sources = [load_file(f / "generator.safetensors") for f in (tiny_zoo / "tiny-generator", run)]
    state = load_file(folder / "generator.safetensors")
    expected = blend_generators(sources[0], sources[1], GENERATOR, 16)
    assert all(torch.equal(state[key], value) for key, value in expected.items())
    Generator(GENERATOR).load_state_dict(state, strict=True)
    with safe_open(folder / "generator.safetensors", framework="pt") as file:
        content = json.loads(file.metadata()["p2s2p"])
    assert GeneratorSpec(**content["spec"]) == GENERATOR
    assert content["digest"] == tensor_digest(state) == row["digests"]["generator"]
    assert content["digest"] not in [tensor_digest(source) for source in sources]
    card = load_card(folder)
    assert (card.tasks, card.rank, card.bundled) == (("toonify",), 0, False)
    assert (card.encoder_model, card.auto, row["tasks"], row["encoder"]) == (
        "tiny-invert",
        False,
        ["toonify"],
        "tiny-invert",
    )
    assert card.title == "tiny-generator below 16 px, toon from there on"
    first = (folder / "model.toml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# Layers below 16 px from tiny-generator (digest ") and "from 16 px on from toon" in first
    assert str(tmp_path) not in (folder / "model.toml").read_text(encoding="utf-8")


def test_it_is_listed_verified_used_and_removed(call: Call, run: Path, tmp_path: Path) -> None:
    file = run / "generator.safetensors"
    assert call("models", "blend", file, "tiny-invert", "mine", "--at", "8", "--width", "1", "-q").code == 0
    rows = {row["name"]: row for row in call("models", "list", "--json").rows}
    assert rows["mine"]["installed"] and not rows["mine"]["bundled"] and rows["mine"]["tasks"] == []
    assert rows["mine"]["title"].endswith("mixed over 1 doublings")
    assert call("models", "verify", "mine").code == 0
    found = load_generator(resolve(find_card("mine")), torch.device("cpu"), torch.float32)[0].state_dict()
    state = load_file(tmp_path / "home" / "models" / "mine" / "generator.safetensors")
    assert all(torch.equal(found[key], value) for key, value in state.items())
    assert call("models", "blend", "mine", "tiny-generator", "again", "--at", "32").code == 0
    assert call("models", "remove", "mine", "again").code == 0 and homes(tmp_path) == []


def test_it_toonifies_with_the_encoder_for_its_structure(call: Call, run: Path, tmp_path: Path) -> None:
    assert call("models", "blend", "tiny-generator", run, "my-look", "--at", "32", "-q").code == 0
    assert call("toonify", FACES[0], "-o", tmp_path / "toon.png", "--model", "my-look", "--align", "never").code == 0
    assert call("invert", FACES[0], "-o", tmp_path / "photo.png", "--optimize", "0", "--align", "never").code == 0
    first, second = pixels(tmp_path / "toon.png"), pixels(tmp_path / "photo.png")
    assert first.shape == second.shape and not np.array_equal(first, second)
    assert call("models", "show", "my-look", "--json").rows[0]["tasks"] == ["toonify"]
    none = call("toonify", FACES[0], "-o", tmp_path / "auto.png", "-q")
    assert none.code == 4, "a look of one's own is used where it is named"


def test_train_encoder_takes_it(call: Call, run: Path, tmp_path: Path) -> None:
    from pixel2style2pixel_cli.files.image import encode_image

    assert call("models", "blend", "tiny-generator", run, "mine", "--at", "16", "-q").code == 0
    (tmp_path / "data").mkdir()
    for i in range(6):
        pixels = torch.full((32, 32, 3), 40 * i, dtype=torch.uint8).numpy()
        (tmp_path / "data" / f"{i}.png").write_bytes(encode_image(pixels, "png"))
    config = tmp_path / "tiny.toml"
    config.write_text(
        "[encoder]\ninput_size = 32\nunits = [1, 1, 1, 1]\nwidths = [4, 8, 8, 16]\nhead_width = 8\n"
        "[run]\nsteps = 1\nbatch = 2\nheld_out = 2\n[losses]\nlpips = 0.0\nid = 0.0\n",
        encoding="utf-8",
    )
    result = call(
        "train", "encoder", "--data", tmp_path / "data", "--generator", "mine", "--out", tmp_path / "out",
        "--preset", config, "--device", "cpu", "-q",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert (tmp_path / "out" / "encoder.safetensors").is_file()


def test_the_stricter_terms_hold(call: Call, run: Path, tmp_path: Path) -> None:
    strict = write_generator(tmp_path / "strict", tiny_model(2).generator, GENERATOR, "nvidia-nc")
    for first, second, licence, free in (
        ("tiny-generator", run, "MIT", True),
        ("tiny-generator", strict, "nvidia-nc", False),
        (strict, run, "nvidia-nc", False),
    ):
        row = call("models", "blend", first, second, "mine", "--at", "16", "--json").rows[0]
        assert (row["licence"], row["commercial_ok"]) == (licence, free)
        card = load_card(tmp_path / "home" / "models" / "mine")
        assert (card.licence, card.commercial_ok) == (licence, free)
        assert call("models", "remove", "mine", "-q").code == 0


def test_what_is_refused(call: Call, run: Path, tmp_path: Path) -> None:
    spec = dataclasses.replace(GENERATOR, style_dim=16, mapping_layers=1)
    other = write_generator(tmp_path / "other", Generator(spec).state_dict(), spec)
    zoo, cases = "tiny-generator", []
    cases.append((zoo, run, "x", "12", "no layers at 12 px", "choose one of 4, 8, 16, 32"))
    cases.append((zoo, run, "x", "64", "no layers at 64 px", "choose one of 4, 8, 16, 32"))
    cases.append((zoo, other, "x", "16", "style_dim is 32 and 16, mapping_layers is 2 and 1", "one family"))
    cases.append((zoo, run, zoo, "16", "there is a model tiny-generator already", "choose another name"))
    cases.append((zoo, run, "No/name", "16", "'No/name' cannot be a model's name", "use lower-case letters"))
    cases.append((zoo, run, "auto", "16", "'auto' cannot be a model's name", "use lower-case letters"))
    cases.append((zoo, tmp_path / "x.safetensors", "x", "16", "no weight file", "run folder"))
    for first, second, name, at, message, hint in cases:
        result = call("models", "blend", first, second, name, "--at", at)
        assert result.code == 2 and result.out == b""
        assert message in result.problems[0][0] and hint in result.problems[0][1]
    assert call("models", "blend", zoo, "nobody", "x", "--at", "16").code == 4
    assert homes(tmp_path) == []
    assert call("models", "blend", zoo, run, "x", "--at", "16", "-q").code == 0
    before = (tmp_path / "home" / "models" / "x" / "model.toml").read_bytes()
    again = call("models", "blend", run, zoo, "x", "--at", "8")
    assert again.code == 2 and "there is a model x already" in again.problems[0][0]
    assert (tmp_path / "home" / "models" / "x" / "model.toml").read_bytes() == before


def test_a_damaged_file_is_not_blended(call: Call, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = write_zoo(tmp_path / "zoo", tiny_model())
    monkeypatch.setenv("P2S2P_ZOO", str(zoo))
    file = zoo / "tiny-generator" / "generator.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\1")
    assert call("models", "blend", "tiny-generator", run, "x", "--at", "16").code == 4
    assert homes(tmp_path) == []
