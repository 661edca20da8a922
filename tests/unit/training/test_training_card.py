"""What a finished run leaves in its folder can be named as a model, moved, and installed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tiny_zoo import GENERATOR

from pixel2style2pixel_cli import api, load
from pixel2style2pixel_cli.engine.loading import load_model
from pixel2style2pixel_cli.install.adopt import import_model
from pixel2style2pixel_cli.networks.families import HEADS
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.choose import choose_model
from pixel2style2pixel_cli.zoo.find import find_card

ENCODER = "[encoder]\ninput_size = 32\nunits = [1, 1, 1, 1]\nwidths = [4, 8, 8, 16]\nhead_width = 8\n"
RUN = "[run]\nsteps = 1\nbatch = 2\nheld_out = 4\n"
LOSSES = "[losses]\nlpips = 0.0\nid = 0.0\n"
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def zoo(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    return tiny_zoo


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    (tmp_path / "encoder.toml").write_text(ENCODER + RUN + LOSSES)
    return tmp_path / "encoder.toml"


def train(discs: Path, out: Path, generator: str | Path, preset: Path, **options: object) -> Path:
    api.train_encoder([discs], out, generator=str(generator), preset=str(preset), device="cpu", **options)  # type: ignore[arg-type]
    return out


def inverted(model: str | Path) -> np.ndarray:
    """What a model makes of a picture."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8))
    with load(str(model), device="cpu") as session:
        return np.asarray(session.invert(picture, align="never", optimize=0).array)


def test_a_run_for_a_zoo_generator_names_it(discs: Path, tmp_path: Path, preset: Path) -> None:
    out = train(discs, tmp_path / "runs" / "My encoder!", "tiny-generator", preset)
    card = load_card(out, any_name=True)
    assert (card.name, card.tasks, card.generator_model) == ("My-encoder", ("invert", "mix"), "tiny-generator")
    assert (card.licence, card.commercial_ok, card.generator) == ("mit", True, None)
    assert not (out / "generator.safetensors").exists()
    first = inverted(out)
    moved = out.rename(tmp_path / "elsewhere")
    assert np.array_equal(first, inverted(moved)) and np.array_equal(first, inverted(moved / "model.toml"))
    assert api.show_model(str(moved))["installed"].keys() == {"encoder", "generator"}


def test_a_run_for_another_file_takes_it_along(discs: Path, tmp_path: Path, preset: Path, zoo: Path) -> None:
    file = tmp_path / "other" / "generator.safetensors"
    file.parent.mkdir()
    shutil.copy(zoo / "tiny-generator" / file.name, file)
    out = train(discs, tmp_path / "run", file.parent, preset)
    shutil.rmtree(file.parent)
    card = load_card(out)
    assert card.generator == GENERATOR and card.generator_model is None
    assert inverted(out).shape == (32, 32, 3)


def test_a_model_of_the_same_name_beside_the_run_is_not_taken_for_it(
    discs: Path, tmp_path: Path, preset: Path, zoo: Path
) -> None:
    shutil.copytree(zoo / "tiny-generator", tmp_path / "tiny-generator")
    card = load_card(train(discs, tmp_path / "run", "tiny-generator", preset))
    assert card.generator_model is None and (tmp_path / "run" / "generator.safetensors").is_file()


def test_a_generators_run_is_a_generator(discs: Path, tmp_path: Path, preset: Path) -> None:
    sizes = "[generator]\nresolution = 32\nstyle_dim = 8\nz_dim = 5\nchannel_multiplier = 0.03125\nchannel_max = 16\n"
    (tmp_path / "g.toml").write_text(f"{sizes}mapping_layers = 2\n{ENCODER}{RUN}[losses]\nautoencode = 1.0\n")
    api.train_generator([discs], tmp_path / "toon", preset=str(tmp_path / "g.toml"), device="cpu")
    card = load_card(tmp_path / "toon")
    assert (card.tasks, card.encoder) == ((), None) and card.generator is not None
    out = train(discs, tmp_path / "run", tmp_path / "toon", preset)
    assert load_card(out).generator == card.generator and load_card(out).generator_model is None


def test_kept_heads_lie_beside_the_encoder(discs: Path, tmp_path: Path, preset: Path) -> None:
    before = train(discs, tmp_path / "before", "tiny-generator", preset)
    preset.write_text(preset.read_text() + '[task]\nheads = "kept"\n')
    out = train(discs, tmp_path / "run", "tiny-generator", preset, start=before)
    assert load_card(out).roles == ("encoder", "heads")
    model = load_model(choose_model("invert", str(out)), CPU, torch.float32)
    files = [load_file(out / f"{name}.safetensors") for name in ("encoder", "heads")]
    state = model.encoder.state_dict()
    assert state.keys() == files[0].keys() | files[1].keys() and all(key.startswith(HEADS) for key in files[1])
    done = import_model("mine", out)
    assert load_file(done.files["encoder"]).keys() == state.keys() and done.card.roles == ("encoder",)
    assert np.array_equal(inverted(out), inverted("mine"))


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_run_can_be_installed(discs: Path, tmp_path: Path, preset: Path, what: str) -> None:
    out = train(discs, tmp_path / "run", "tiny-generator", preset)
    first = inverted(out)
    done = import_model("mine", out if what == "folder" else out / "encoder.safetensors")
    assert set(done.files) == {"encoder"} and find_card("mine").generator_model == "tiny-generator"
    shutil.rmtree(out)
    assert choose_model("invert").name == "mine", "of one's own models comes before the bundled ones"
    assert np.array_equal(inverted("mine"), first)


def test_an_encoder_by_itself_finds_its_generator(discs: Path, tmp_path: Path, preset: Path) -> None:
    out = train(discs, tmp_path / "run", "tiny-generator", preset)
    alone = shutil.copy(out / "encoder.safetensors", tmp_path / "alone.safetensors")
    first = inverted(out)
    done = import_model("mine", Path(alone))
    assert done.card.generator_model == "tiny-generator" and done.card.tasks == ("invert", "mix")
    assert np.array_equal(inverted("mine"), first)
