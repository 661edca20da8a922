"""``p2s2p train`` below the command line: check, run, start from another run, the finished model in use."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import GENERATOR, SIDE, Z, fresh, write_shard

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.engine.loading import load_model
from pixel2style2pixel_cli.errors import DivergedError, IntegrityError, MissingError, UsageError
from pixel2style2pixel_cli.events import Event, Notice
from pixel2style2pixel_cli.files.image import read_image
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk
from pixel2style2pixel_cli.training import start
from pixel2style2pixel_cli.training.checkpoint import Stamp, read_stamp, save_checkpoint
from pixel2style2pixel_cli.training.grow import begin_joint
from pixel2style2pixel_cli.training.joint import JointTrainer
from pixel2style2pixel_cli.training.joint_config import JointTraining, load_generator_training
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.resolve import resolve

ENCODER = """
[encoder]
input_size = 32
units = [1, 1, 1, 1]
widths = [4, 8, 8, 16]
head_width = 8
"""
RUN = """
[run]
steps = 2
batch = 4
log_every = 1
checkpoint_every = 1
held_out = 4
"""
SIZES = f"""
[generator]
resolution = {SIDE}
style_dim = 8
z_dim = {Z}
channel_multiplier = 0.03125
channel_max = 16
mapping_layers = 2
"""


@pytest.fixture
def presets(tmp_path: Path) -> dict[str, str]:
    """Configuration files: an autoencoder, an adversarial stage after it or from nothing, an encoder."""
    judge = f"[discriminator]\nresolution = {SIDE}\nchannel_multiplier = 0.03125\nchannel_max = 16\n"
    texts = {
        "auto": SIZES + ENCODER + RUN + "[losses]\nautoencode = 1.0\npair_latent = 0.1\n",
        "sharp": SIZES + ENCODER + RUN + judge + "[losses]\nautoencode = 1.0\nadversarial = 0.1\n",
        "gan": SIZES + RUN + judge + "[losses]\nadversarial = 1.0\n",
        "encoder": ENCODER + RUN + "[losses]\nlpips = 0.0\nid = 0.0\n[rates]\nema_images = 8.0\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(text)
    return {name: str(tmp_path / f"{name}.toml") for name in texts}


def test_check_says_what_a_run_would_take_and_leaves_a_run_alone(
    presets: dict[str, str], discs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    api.train_generator([discs], out, preset=presets["auto"], device="cpu")
    before = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    found = api.train_generator([discs], out, preset=presets["auto"], device="cpu", steps=3600, check=True)
    assert found["pictures"] == 20 and found["parameters"].keys() >= {"generator", "encoder"}
    assert found["seconds_per_step"] > 0 and found["pictures_per_second"] > 0
    assert found["hours"] == pytest.approx(found["seconds_per_step"], abs=0.06)
    assert found["peak_bytes"] > 1e7 and (found["left_out"], found["unpaired"]) == (0, 0)
    assert 0 < found["memory_needed"] < found["memory_free"] and found["largest_batch"] >= 4
    sheet = read_image(Path(found["sheet"]), name="sheet").pixels
    assert sheet.shape == (6 * SIDE, 8 * SIDE, 3)
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == before


def test_a_training_that_diverges_keeps_what_it_has_saved(presets: dict[str, str], discs: Path, tmp_path: Path) -> None:
    text = Path(presets["auto"]).read_text()
    Path(presets["auto"]).write_text(text + "[rates]\ngenerator = 1e11\nencoder = 1e11\n")
    out = tmp_path / "run"
    with pytest.raises(DivergedError, match=r"has diverged at step \d+: .*(is|are) no number") as caught:
        api.train_generator([discs], out, preset=presets["auto"], device="cpu", steps=200)
    assert caught.value.exit_code == 3
    found = read_stamp(out)
    assert found is None or found.step < int(re.findall(r"step (\d+)", caught.value.message)[0])
    with pytest.raises(DivergedError):
        api.train_generator([discs], tmp_path / "other", preset=presets["auto"], device="cpu", check=True)


def test_check_reads_every_picture(presets: dict[str, str], discs: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_shard(tmp_path / "data" / "a.npz", 12)
    (tmp_path / "data" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    events: list[Event] = []
    told: dict[str, Any] = {"preset": presets["auto"], "overrides": {"losses.pair_latent": "0"}, "device": "cpu"}
    found = api.train_generator([tmp_path / "data"], tmp_path / "run", check=True, on_event=events.append, **told)
    assert (found["pictures"], found["left_out"], found["unpaired"]) == (13, 1, 0)
    assert sum("broken.png" in event.message for event in events if isinstance(event, Notice)) == 1
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["samples"]
    done = api.train_generator([tmp_path / "data"], tmp_path / "run", steps=6, **told)
    assert done["step"] == 6 and done["left_out"] == 1, "the run goes on without it"
    (tmp_path / "data" / "a.npz").unlink()
    write_shard(tmp_path / "data" / "b.npz", 3)
    for number in range(9):
        (tmp_path / "data" / f"{number}.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="3 of 13 pictures can be used: not enough for a batch of 4"):
        api.train_generator([tmp_path / "data"], tmp_path / "other", check=True, **told)


def test_the_next_stage_starts_from_averaged_weights(tmp_path: Path) -> None:
    earlier, later = fresh(), fresh()
    with torch.no_grad():
        for parameter in earlier.average.parameters():
            parameter.add_(1.0)
    stamp = Stamp(step=1, config="{}")
    save_checkpoint(tmp_path, stamp, modules=earlier.modules(), optimisers={}, extra={})
    start._start_modules(tmp_path, later, lambda event: None)
    for module in (later.generator, later.average):
        for name, value in earlier.average.state_dict().items():
            torch.testing.assert_close(module.state_dict()[name], value, rtol=0, atol=0)


def test_a_generator_starts_from_a_model_by_its_name(presets: dict[str, str], discs: Path, tmp_path: Path) -> None:
    networks = start._networks(Path("mini-invert"))
    config = load_generator_training("mini-joint", {"generator.resolution": "256"})
    assert isinstance(config, JointTraining) and networks.keys() == {"generator", "encoder"}
    trainer, events = JointTrainer(config, LiteTrunk(LiteSpec()), torch.device("cpu")), list[Event]()
    begin_joint(trainer, networks, Path("mini-invert"), events.append)
    assert events == [Notice(message="from mini-invert: generator, encoder")]
    for name, state in networks.items():
        own = trainer.modules()[name].state_dict()
        assert all(torch.equal(own[key], value) for key, value in state.items() if key != "latent_avg"), name
    with pytest.raises(UsageError, match="generator of mini-invert has other sizes"):
        api.train_generator([discs], tmp_path / "run", preset=presets["auto"], device="cpu", start="mini-invert")


def test_three_stages_end_in_a_model_that_inverts(presets: dict[str, str], discs: Path, tmp_path: Path) -> None:
    """Autoencoder, sharpened by a discriminator, then an encoder that starts from the first one's."""
    events: list[Event] = []
    runs = {name: tmp_path / f"run-{name}" for name in presets}
    first = api.train_generator([discs], runs["auto"], preset=presets["auto"], device="cpu", on_event=events.append)
    assert first["step"] == 2 and first["files"] == [str(runs["auto"] / "generator.safetensors")]
    api.train_generator(
        [discs], runs["sharp"], preset=presets["sharp"], device="cpu", start=runs["auto"], on_event=events.append
    )
    started = Notice(message=f"from {runs['auto']}: generator, generator_average, encoder, encoder_average")
    assert started in events
    api.train_encoder(
        [discs], runs["encoder"], generator=str(runs["sharp"]), preset=presets["encoder"], device="cpu",
        start=runs["sharp"], on_event=events.append,
    )  # fmt: skip
    assert Notice(message=f"encoder starts from {runs['sharp']}") in events
    assert (runs["encoder"] / "samples" / "0000002.png").is_file()
    model = load_model(resolve(load_card(model_of(runs, tmp_path))), torch.device("cpu"), torch.float32)
    assert model.generator_spec == GENERATOR
    codes = model.encoder(torch.zeros(1, 3, 32, 32))
    assert model.generator(codes).shape == (1, 3, SIDE, SIDE)
    stored = load_file(runs["encoder"] / "encoder.safetensors")["latent_avg"][0]
    assert torch.equal(stored, load_file(runs["sharp"] / "generator.safetensors")["latent_avg"])


def model_of(runs: dict[str, Path], folder: Path) -> Path:
    """A card around the exported files, with the specs and hashes that they name themselves."""
    import hashlib

    from pixel2style2pixel_cli.weights.header import read_weight_header

    (folder / "mine").mkdir()
    tables, weights = "", ""
    for role, run in (("encoder", runs["encoder"]), ("generator", runs["sharp"])):
        path = folder / "mine" / f"{role}.safetensors"
        path.write_bytes((run / path.name).read_bytes())
        spec = read_weight_header(path).spec
        tables += f"[spec.{role}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in spec.items())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        weights += f'[[weights]]\nrole = "{role}"\nfile = "{path.name}"\nsha256 = "{digest}"\n'
        weights += f"size = {path.stat().st_size}\n"
    (folder / "mine" / "model.toml").write_text(
        'name = "mine"\ntitle = "Discs"\ntasks = ["invert"]\nrank = 1\nlicence = "mit"\ncommercial_ok = true\n'
        "bundled = true\n" + tables + weights
    )
    return folder / "mine"


def train_encoder(presets: dict[str, str], discs: Path, out: Path, **options: Any) -> dict[str, Any]:
    return api.train_encoder([discs], out, preset=presets["encoder"], device="cpu", **options)


def test_what_cannot_start_is_named(
    presets: dict[str, str], discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_zoo: Path
) -> None:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))

    def train(preset: str = "auto", **options: Any) -> None:
        api.train_generator([discs], tmp_path / "run", preset=presets[preset], device="cpu", **options)

    with pytest.raises(UsageError, match="vectors of length 5, the generator's z has 9"):
        train(overrides={"generator.z_dim": "9"})
    with pytest.raises(UsageError, match="no checkpoint in"):
        train(start=tmp_path)
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        api.train_generator([discs], tmp_path / "run", preset=presets["auto"], device="tpu")
    with pytest.raises(UsageError, match="no weight file"):
        train_encoder(presets, discs, tmp_path / "run", generator=str(tmp_path / "x.safetensors"))
    with pytest.raises(MissingError, match="no model is called 'nobody'"):
        train_encoder(presets, discs, tmp_path / "run", generator="nobody")
    with pytest.raises(IntegrityError, match="weights of kind encoder"):
        encoder_file = tiny_zoo / "tiny-invert" / "encoder.safetensors"
        train_encoder(presets, discs, tmp_path / "run", generator=str(encoder_file))
    with pytest.raises(UsageError, match="no training task 'sketch'"):
        train_encoder(presets, discs, tmp_path / "run", generator="tiny-generator", task="sketch")
    assert not (tmp_path / "run").exists()


def test_an_encoders_run_cannot_start_a_generator(
    presets: dict[str, str], discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_zoo: Path
) -> None:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    train_encoder(presets, discs, tmp_path / "run", generator="tiny-generator", steps=1)
    with pytest.raises(UsageError, match="holds none of generator, generator_average, discriminator"):
        api.train_generator(
            [discs], tmp_path / "gan", preset=presets["gan"], start=tmp_path / "run", device="cpu"
        )  # fmt: skip


def test_absent_published_networks_are_asked_for(
    presets: dict[str, str], discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_zoo: Path
) -> None:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    with pytest.raises(MissingError, match=r"ArcFace on IR-SE50.*model_ir_se50\.pth") as caught:
        train_encoder(presets, discs, tmp_path / "run", generator="tiny-generator", overrides={"losses.id": "0.1"})
    assert "--set losses.id=0" in caught.value.hint
    assert "p2s2p models pull arcface-ir-se50" in caught.value.hint
    moco = {"losses.id": "0", "losses.moco": "0.5"}
    with pytest.raises(MissingError, match=r"MoCo v2 on ResNet-50.*moco_v2_800ep_pretrain\.pt") as caught:
        train_encoder(presets, discs, tmp_path / "run", generator="tiny-generator", overrides=moco)
    assert "p2s2p models pull moco-v2" in caught.value.hint
    with pytest.raises(UsageError, match=r"losses\.id is for faces and losses\.moco for other things"):
        train_encoder(
            presets, discs, tmp_path / "run", generator="tiny-generator", overrides={**moco, "losses.id": "1"}
        )
