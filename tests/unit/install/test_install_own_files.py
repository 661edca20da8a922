"""Weight files of our own container: installed when they are sound, refused by name when they are not."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_zoo import BLANK, ENCODER, GENERATOR, tiny_model
from torch import Tensor

from pixel2style2pixel_cli.errors import IntegrityError, MissingError, P2S2PError, UsageError
from pixel2style2pixel_cli.install.adopt import import_model
from pixel2style2pixel_cli.install.blend import install_blend
from pixel2style2pixel_cli.install.store import Origin, Part, install, uninstall
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.weights.digest import file_digest, tensor_digest
from pixel2style2pixel_cli.weights.write import weight_metadata
from pixel2style2pixel_cli.zoo.find import find_card, home_folder
from pixel2style2pixel_cli.zoo.resolve import resolve


@pytest.fixture(autouse=True)
def zoo(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    return tiny_zoo


def write(
    path: Path, role: str, state: dict[str, Tensor], spec: EncoderSpec | GeneratorSpec, generator: str = ""
) -> Path:
    values = dataclasses.asdict(spec)
    save_file(state, path, metadata=weight_metadata(role, values, tensor_digest(state), "mit", BLANK, generator))
    return path


def refused(path: Path, kind: type[P2S2PError]) -> str:
    """What is said of the file; nothing of it is left in the home folder."""
    with pytest.raises(kind) as caught:
        import_model("mine", path)
    folder = home_folder() / "models"
    assert not folder.is_dir() or not any(folder.iterdir())
    return caught.value.message


def test_a_generator_is_installed_as_it_is(tmp_path: Path) -> None:
    state = tiny_model(3).generator
    done = import_model("toon", write(tmp_path / "x.safetensors", "generator", state, GENERATOR))
    found = load_file(done.files["generator"])
    assert found.keys() == state.keys() and all(torch.equal(found[key], value) for key, value in state.items())
    card = find_card("toon")
    assert (card.tasks, card.generator, card.licence, card.commercial_ok) == ((), GENERATOR, "mit", True)
    assert resolve(card).hashes.keys() == {"generator"}


def test_an_encoder_says_which_generator_it_needs(tmp_path: Path, zoo: Path) -> None:
    state, path = tiny_model().encoder, tmp_path / "x.safetensors"
    assert "does not say which generator" in refused(write(path, "encoder", state, ENCODER), UsageError)
    assert "is not installed" in refused(write(path, "encoder", state, ENCODER, "a" * 64), MissingError)
    drawn_by = file_digest(zoo / "tiny-generator" / "generator.safetensors")
    done = import_model("mine", write(path, "encoder", state, ENCODER, drawn_by))
    assert done.card.generator_model == "tiny-generator" and set(done.files) == {"encoder"}


def test_names_that_are_taken(tmp_path: Path, zoo: Path) -> None:
    path = zoo / "tiny-generator" / "generator.safetensors"
    with pytest.raises(UsageError, match="bundled"):
        import_model("tiny-invert", path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def cut_in_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def page(path: Path) -> None:
    path.write_text("<!doctype html>")


def deep(path: Path) -> None:
    text = b'{"a":' + b"[" * 100_000
    path.write_bytes(len(text).to_bytes(8, "little") + text)


@pytest.mark.parametrize("damage", [cut, cut_in_header, flip, empty, page, deep])
def test_damaged_files_are_refused(tmp_path: Path, zoo: Path, damage: Callable[[Path], None]) -> None:
    path = Path(shutil.copy(zoo / "tiny-generator" / "generator.safetensors", tmp_path / "generator.safetensors"))
    damage(path)
    assert str(path.name) in refused(path, IntegrityError)
    with pytest.raises(IntegrityError) as caught:
        install_blend(str(path), "tiny-generator", "blended", at=16)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    state = tiny_model().generator
    state["constant"][0, 0, 0, 0] = value
    path = write(tmp_path / "x.safetensors", "generator", state, GENERATOR)
    count = state["constant"].numel()
    assert f"1 of the {count} numbers of constant" in refused(path, IntegrityError)
    with pytest.raises(IntegrityError, match="not finite"):
        install_blend(str(path), "tiny-generator", "blended", at=16)
    assert not (home_folder() / "models" / "blended").exists()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert "neither model.toml nor a weight file" in refused(tmp_path / "run", MissingError)


def test_the_digest_of_a_file_is_that_of_its_tensors(tmp_path: Path) -> None:
    kinds = [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
    state = {f"{i}.{kind}": torch.ones(2, i).to(kind) for i, kind in enumerate(kinds)} | {"scalar": torch.tensor(3)}
    save_file(state, tmp_path / "x.safetensors")
    assert file_digest(tmp_path / "x.safetensors") == tensor_digest(state)


@pytest.mark.parametrize("place", ["removed", "replaced"])
def test_an_interrupt_while_a_folder_is_removed_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder = tmp_path / "models" / "mine"
    spec = GeneratorSpec(resolution=32, style_dim=4, z_dim=4, channel_max=4)
    parts = [Part(role="generator", state={"x": torch.zeros(3)}, spec=spec)]
    origin = Origin(file="x.pt", sha256="", checked_by="layout", licence="MIT")
    install(parts, folder, origin, None)
    remove, calls = shutil.rmtree, []

    def interrupted(path: Path, ignore_errors: bool = False) -> None:
        calls.append(path)
        if len(calls) == 1:
            next(path.iterdir()).unlink()
            raise KeyboardInterrupt
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        uninstall(folder) if place == "removed" else install(parts, folder, origin, None)
    left = [path.name for path in (tmp_path / "models").iterdir()]
    assert len(calls) == 2 and left == ([] if place == "removed" else ["mine"])
