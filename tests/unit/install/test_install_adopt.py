"""Importing a checkpoint: what is installed, what is refused, and that a failure leaves nothing."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from tiny_checkpoints import ENCODER, GENERATOR, generator_state, psp_checkpoint, spec_of

from pixel2style2pixel_cli.engine.loading import load_model
from pixel2style2pixel_cli.errors import IntegrityError, OutputError, P2S2PError, UsageError
from pixel2style2pixel_cli.install.adopt import import_model
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.weights import write as writing
from pixel2style2pixel_cli.weights.digest import tensor_digest
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.choose import choose_model
from pixel2style2pixel_cli.zoo.find import find_card, install_folder, list_cards
from pixel2style2pixel_cli.zoo.resolve import resolve
from pixel2style2pixel_cli.zoo.verify import sha256_file

CARD = """
name = "{name}"
tasks = ["invert"]
licence = "nvidia-nc"
bundled = {bundled}
[spec.encoder]
kind = "{kind}"
input_size = 32
units = [1, 2, 1, 1]
widths = [4, 8, 12, 16]
head_width = 16
[spec.generator]
resolution = 32
style_dim = 16
z_dim = 16
channel_max = 16
mapping_layers = 2
[[weights]]
role = "checkpoint"
file = "published.pt"
{sha256}
"""


@pytest.fixture(autouse=True)
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("P2S2P_ZOO", str(tmp_path / "zoo"))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    (tmp_path / "zoo").mkdir()
    return tmp_path / "zoo"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "published.pt"
    torch.save(psp_checkpoint(average=torch.randn(8, 16)), path)
    return path


def make_card(zoo: Path, name: str = "known", kind: str = "psp", sha256: str = "", bundled: str = "false") -> None:
    (zoo / name).mkdir()
    row = f'sha256 = "{sha256}"' if sha256 else ""
    text = CARD.format(name=name, kind=kind, sha256=row, bundled=bundled)
    (zoo / name / "model.toml").write_text(text, encoding="utf-8")


def leftovers() -> list[str]:
    folder = install_folder("x").parent
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_known_model_is_installed_and_loads_strictly(zoo: Path, published: Path) -> None:
    make_card(zoo, sha256=sha256_file(published))
    done = import_model("known", published)
    assert done.checked_by == "sha256"
    assert done.card.name == "known"
    assert leftovers() == ["known"]
    model = choose_model("invert")
    assert model.files == done.files
    assert set(model.hashes) == {"encoder", "generator"}
    encoder, generator = load_file(done.files["encoder"]), load_file(done.files["generator"])
    checkpoint = psp_checkpoint()
    state = checkpoint["state_dict"]
    assert isinstance(state, dict)
    assert torch.equal(encoder["heads.0.linear.weight"], state["encoder.styles.0.linear.weight"])
    assert torch.equal(generator["constant"], state["decoder.input.input"])
    Generator(GENERATOR).load_state_dict(generator, strict=True)
    assert encoder["latent_avg"].shape == (8, 16)
    build_encoder(ENCODER, 8, 16).load_state_dict(encoder, strict=True)


def test_the_files_explain_themselves(published: Path) -> None:
    done = import_model("mine", published)
    for role, spec in (("encoder", ENCODER), ("generator", GENERATOR)):
        with safe_open(done.files[role], framework="pt") as file:
            assert set(file.metadata()) == {"p2s2p"}
            content = json.loads(file.metadata()["p2s2p"])
        named = {"schema", "kind", "spec", "source_sha256", "licence", "digest"}
        assert set(content) == (named | {"generator"} if role == "encoder" else named)
        assert (content["schema"], content["kind"], content["licence"]) == (1, role, "unknown")
        assert content["spec"] == json.loads(json.dumps(dataclasses.asdict(spec)))
        assert content["source_sha256"] == sha256_file(published)
        assert content["digest"] == tensor_digest(load_file(done.files[role])) == done.digests[role]


def test_a_name_of_the_users_own_gets_a_card(published: Path) -> None:
    done = import_model("my-model.2", published)
    assert done.checked_by == "layout"
    card = load_card(install_folder("my-model.2"))
    assert card == done.card
    assert (card.encoder, card.generator) == (ENCODER, GENERATOR)
    assert (card.tasks, card.licence, card.commercial_ok, card.input.align) == (
        ("invert", "mix"),
        "unknown",
        False,
        "ffhq",
    )
    assert choose_model("invert", "my-model.2").name == "my-model.2"
    assert find_card("my-model.2").mixing_layers == "4-"


@pytest.mark.parametrize(
    ("dataset", "channels", "task", "kind", "align"),
    [
        ("ffhq_encode", 3, "invert", "photo", "ffhq"),
        ("ffhq_frontalize", 3, "frontalize", "photo", "ffhq"),
        ("celebs_super_resolution", 3, "superres", "lowres", "ffhq"),
        ("celebs_sketch_to_face", 1, "sketch2face", "sketch", "none"),
        ("my_own_data", 19, "seg2face", "labels", "none"),
    ],
)
def test_what_a_model_does_is_read_off(
    tmp_path: Path, dataset: str, channels: int, task: str, kind: str, align: str
) -> None:
    torch.save(psp_checkpoint(channels=channels, average=torch.zeros(16), dataset_type=dataset), tmp_path / "x.pt")
    card = import_model("mine", tmp_path / "x.pt").card
    tasks = ("invert", "mix") if task == "invert" else (task,)
    assert (card.tasks, card.input.kind, card.input.align) == (tasks, kind, align)
    assert card.encoder.input_channels == channels
    assert load_card(install_folder("mine")).tasks == tasks


def test_a_generator_alone(tmp_path: Path) -> None:
    torch.save({"g_ema": generator_state(), "latent_avg": torch.ones(16)}, tmp_path / "g.pt")
    done = import_model("gen", tmp_path / "g.pt")
    assert set(done.files) == {"generator"}
    card = find_card("gen")
    assert (card.tasks, card.encoder, card.roles) == ((), None, ("generator",))
    assert resolve(card).files == done.files


def test_a_title_with_odd_letters_survives(tmp_path: Path) -> None:
    path = tmp_path / 'gesicht "ß" \\ 🙂.pt'
    torch.save(psp_checkpoint(average=torch.zeros(16)), path)
    import_model("mine", path)
    assert find_card("mine").title == f"imported from {path.name}"


def test_the_same_weights_in_another_file_have_the_same_digest(tmp_path: Path) -> None:
    checkpoint = psp_checkpoint(average=torch.zeros(16))
    torch.save(checkpoint, tmp_path / "a.pt")
    torch.save({**checkpoint, "global_step": 3}, tmp_path / "b.pt", _use_new_zipfile_serialization=False)
    first, second = import_model("a", tmp_path / "a.pt"), import_model("b", tmp_path / "b.pt")
    assert first.digests == second.digests
    assert first.source_sha256 != second.source_sha256


def refused(name: str, file: Path, error: type[P2S2PError]) -> P2S2PError:
    with pytest.raises(error) as caught:
        import_model(name, file)
    assert leftovers() == []
    return caught.value


def test_an_e4e_file_under_a_psp_name_is_refused(zoo: Path, tmp_path: Path) -> None:
    make_card(zoo)
    torch.save(psp_checkpoint("Encoder4Editing", average=torch.zeros(16)), tmp_path / "e.pt")
    message = refused("known", tmp_path / "e.pt", IntegrityError).message
    assert "holds an e4e encoder" in message
    assert "expected a pSp encoder" in message


def test_the_card_says_the_stage_which_no_published_file_does(zoo: Path, tmp_path: Path) -> None:
    """Cycle Encoding's checkpoints are e4e's in all but the stage that they were trained to."""
    torch.save(psp_checkpoint("Encoder4Editing", kind="e4e", average=torch.zeros(16)), tmp_path / "cycle.pt")
    for name, line, stage in (("closed", 'kind = "e4e"\nstage = 0', 0), ("open", 'kind = "e4e"', -1)):
        make_card(zoo, name=name)
        card = zoo / name / "model.toml"
        card.write_text(card.read_text("utf-8").replace('kind = "psp"', line), encoding="utf-8")
        done = import_model(name, tmp_path / "cycle.pt")
        assert read_weight_header(done.files["encoder"]).encoder_spec().stage == stage
        model = load_model(choose_model("invert", name), torch.device("cpu"), torch.float32)
        codes = model.encoder(torch.rand(1, 3, 32, 32))
        assert torch.equal(codes, codes[:, :1].expand_as(codes)) == (stage == 0)


def test_a_generator_under_an_encoders_name_is_refused(zoo: Path, tmp_path: Path) -> None:
    make_card(zoo)
    torch.save(generator_state(), tmp_path / "g.pt")
    assert (
        "holds a 32 px generator, expected a pSp encoder" in refused("known", tmp_path / "g.pt", IntegrityError).message
    )


def test_specs_that_read_alike_are_told_apart_by_their_fields(zoo: Path, published: Path) -> None:
    make_card(zoo)
    card = zoo / "known" / "model.toml"
    card.write_text(card.read_text("utf-8").replace("mapping_layers = 2", "mapping_layers = 3"), encoding="utf-8")
    message = refused("known", published, IntegrityError).message
    assert message.endswith("for known; generator.mapping_layers is 2, expected 3")


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_installed_weights_may_be_read_by_whom_other_files_may(published: Path) -> None:
    folder = import_model("mine", published).files["generator"].parent
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_another_hash_is_refused_and_a_card_without_one_takes_the_layout(zoo: Path, published: Path) -> None:
    make_card(zoo, sha256="f" * 64)
    error = refused("known", published, IntegrityError)
    assert sha256_file(published) in error.message
    assert "f" * 64 in error.message
    assert "name of your own" in error.hint
    make_card(zoo, "unhashed")
    assert import_model("unhashed", published).checked_by == "layout"
    assert not (install_folder("unhashed") / "model.toml").exists()


def test_a_card_with_an_unknown_key_in_its_spec(zoo: Path, published: Path) -> None:
    make_card(zoo)
    path = zoo / "known" / "model.toml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("head_width = 16", "head_width = 16\ncolour = 3"), encoding="utf-8"
    )
    assert "colour" in refused("known", published, UsageError).message


@pytest.mark.parametrize("name", ["", "auto", "mini", "../x", "a/b", "Upper", ".hidden", "-x", "a b", "x" * 65])
def test_names_that_cannot_be(name: str, published: Path) -> None:
    refused(name, published, UsageError)


def test_a_bundled_model_is_not_replaced(zoo: Path, published: Path) -> None:
    make_card(zoo, bundled="true")
    refused("known", published, UsageError)


def test_a_second_import_replaces_the_first_as_a_whole(tmp_path: Path, published: Path) -> None:
    import_model("mine", published)
    (install_folder("mine") / "stale.txt").write_text("old", encoding="utf-8")
    torch.save(generator_state(), tmp_path / "g.pt")
    import_model("mine", tmp_path / "g.pt")
    assert leftovers() == ["mine"]
    names = sorted(path.name for path in install_folder("mine").iterdir())
    assert names == ["generator.safetensors", "installed.json", "model.toml"]


def test_no_space_is_said_before_anything_is_written(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))
    assert "GB free" in refused("mine", published, OutputError).message


def failing_save(error: BaseException) -> Callable[..., None]:
    real = writing.save_file

    def save(state: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
        if path.name.startswith("generator"):
            raise error
        real(state, path, metadata=metadata)

    return save


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        KeyboardInterrupt(),
    ],
)
def test_a_failure_half_way_leaves_the_earlier_model_as_it_was(
    published: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    done = import_model("mine", published)
    before = {path.name: path.read_bytes() for path in install_folder("mine").iterdir()}
    monkeypatch.setattr(writing, "save_file", failing_save(error))
    with pytest.raises((OutputError, KeyboardInterrupt)) as caught:
        import_model("mine", published)
    if isinstance(caught.value, OutputError):
        assert "no space left" in caught.value.message
    assert leftovers() == ["mine"]
    assert {path.name: path.read_bytes() for path in install_folder("mine").iterdir()} == before
    assert resolve(done.card).hashes


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = generator_state()
    state["conv1.noise.weight"].fill_(float("nan"))
    torch.save({"g_ema": state, "latent_avg": torch.ones(16)}, tmp_path / "g.pt")
    error = refused("gen", tmp_path / "g.pt", IntegrityError)
    assert "1 of the 1 numbers of conv_first.noise_strength" in error.message and leftovers() == []


@pytest.mark.skipif(os.name == "nt", reason="no way to ask for a process that does not end it")
@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_kill_at_any_rename_costs_nothing(
    published: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, renames: int
) -> None:
    """Before the first rename, between the two, and before the old model is deleted."""
    import_model("mine", published)
    before = {path.name: path.read_bytes() for path in install_folder("mine").iterdir()}
    script = (
        "import os, pathlib, sys\n"
        "from pixel2style2pixel_cli.install.adopt import import_model\n"
        "rename, left = pathlib.Path.rename, [int(sys.argv[2])]\n"
        "def renamed(self, target):\n"
        "    if left[0] == 0: os._exit(9)\n"
        "    left[0] -= 1\n"
        "    done = rename(self, target)\n"
        "    if int(sys.argv[2]) == 2 and left[0] == 0: os._exit(9)\n"
        "    return done\n"
        "pathlib.Path.rename = renamed\n"
        "import_model('mine', pathlib.Path(sys.argv[1]))\n"
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", script, str(published), str(renames)]
    killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(root)}, check=False)
    assert killed.returncode == 9 and len(leftovers()) == 2
    assert install_folder("mine").exists() == (renames != 1)
    assert find_card("mine").name == "mine"
    assert [card.name for card in list_cards() if card.folder == install_folder("mine")] == ["mine"]
    assert leftovers() == ["mine"]
    assert {path.name: path.read_bytes() for path in install_folder("mine").iterdir()} == before


def test_a_home_that_cannot_be_written(tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cannot be written"):
        import_model("mine", published)


def test_a_mapped_file_may_be_deleted_after_the_import(tmp_path: Path, published: Path) -> None:
    done = import_model("mine", published)
    published.unlink()
    assert load_file(done.files["encoder"])["latent_avg"].shape == (8, 16)
    assert spec_of("psp") == done.card.encoder
