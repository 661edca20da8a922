"""Training in passes (ReStyle): what a pass starts from, whose gradients add up, where a small encoder begins."""

from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from joint_runs import GENERATOR as LITE_GENERATOR
from joint_runs import TASTELESS
from tiny_runs import CPU, ENCODER, GENERATOR, INVERSION, SIDE, train, write_shard

from pixel2style2pixel_cli.engine.loading import load_encoder_file
from pixel2style2pixel_cli.engine.passes import encode_in_passes
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.networks.lite import LiteEncoder
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import EncoderSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.config import EncoderTraining, TaskData, load_training
from pixel2style2pixel_cli.training.data import Batch, PictureSource, training_batches
from pixel2style2pixel_cli.training.encoder_losses import EncoderLosses
from pixel2style2pixel_cli.training.residual import ResidualTrainer
from pixel2style2pixel_cli.weights.header import read_weight_header

SPEC = dataclasses.replace(ENCODER, kind="restyle", input_channels=6)
CONFIG = dataclasses.replace(
    INVERSION, encoder=SPEC, task=TaskData(method="restyle", passes=2), losses=EncoderLosses(lpips=0.0, id=0.0)
)


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shard(tmp_path_factory.mktemp("passes") / "discs.npz", 16)


@pytest.fixture
def batch(discs: Path) -> Batch:
    source = PictureSource([discs], SIDE)
    return next(islice(training_batches(source, batch=4, seed=0, start=0, held_out=4, flip=True), 1))


def fresh(config: EncoderTraining = CONFIG) -> ResidualTrainer:
    torch.manual_seed(0)
    generator = Generator(GENERATOR)
    generator.latent_avg.copy_(generator.estimate_latent_avg(100, torch.Generator().manual_seed(0)))
    return ResidualTrainer(config, generator, CPU)


def test_gradients_of_all_passes_add_up_and_none_goes_through_the_one_before(batch: Batch) -> None:
    trainer, target = fresh(), batch.image
    encoder, generator = trainer.encoder.train(), trainer.generator
    torch.manual_seed(1)
    logs = trainer._learn(target, target, batch, 0)
    found = {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}
    encoder.load_state_dict(fresh().encoder.state_dict())  # batch norms have seen the pictures
    encoder.zero_grad()
    torch.manual_seed(1)
    codes, drawn = encoder.latent_avg.expand(4, -1, -1), generator(encoder.latent_avg[None]).expand(4, -1, -1, -1)
    losses = []
    for _ in range(2):
        corrected = codes + encoder.offsets(torch.cat([target, drawn], dim=1))
        image = generator(corrected, "random")
        losses.append(F.mse_loss(image, target))
        codes, drawn = corrected.detach(), image.detach()
    torch.autograd.backward(torch.stack(losses).sum())
    torch.testing.assert_close(logs["l2"], losses[1])
    for name, p in encoder.named_parameters():
        assert p.grad is not None
        torch.testing.assert_close(found[name], p.grad, atol=1e-6, rtol=1e-3)


def test_a_run_learns_and_its_file_draws_what_the_run_drew(discs: Path, batch: Batch, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, run=dataclasses.replace(CONFIG.run, steps=30))
    trainer = fresh(config)
    source = PictureSource([discs], SIDE)
    before = trainer.validate([batch])["mse"]
    train(trainer, config, discs, tmp_path / "run")
    assert trainer.validate([batch])["mse"] < before
    assert len(source) == 16 and len(trainer.samples(batch)) == 3
    path = tmp_path / "run" / "encoder.safetensors"
    assert read_weight_header(path).encoder_spec() == SPEC
    encoder = load_encoder_file(path, SPEC, trainer.generator)
    with torch.no_grad():
        codes = encode_in_passes(encoder, trainer.generator, encoder.latent_avg, batch.image, 2)
        torch.testing.assert_close(trainer.generator(codes), trainer._draw(batch.image), atol=0.05, rtol=0.05)


def test_a_small_encoder_begins_with_one_of_single_pictures_at_a_code_that_it_reads_as_such(tmp_path: Path) -> None:
    spec = dataclasses.replace(TASTELESS.encoder, input_channels=6)
    torch.manual_seed(0)
    generator = Generator(LITE_GENERATOR)
    generator.latent_avg.normal_()
    config = dataclasses.replace(CONFIG, encoder=spec)
    trainer = ResidualTrainer(config, generator, CPU)
    single = build_encoder(TASTELESS.encoder, LITE_GENERATOR.n_styles, LITE_GENERATOR.style_dim).eval()
    assert isinstance(single, LiteEncoder)
    with torch.no_grad():
        for head in single.heads.children():
            [*head.children()][-1].get_parameter("weight").mul_(5)  # it starts near nothing
    state = single.state_dict() | {"latent_avg": trainer.encoder.latent_avg.clone()}
    trainer.begin_with(state, "lite", tmp_path)
    encoder = trainer.encoder.eval()
    assert isinstance(encoder, LiteEncoder)
    average, start = generator.latent_avg, encoder.latent_avg
    with torch.no_grad():
        read = encoder.rows(trainer._reduced(generator(start[None])))[0]
        at_average = encoder.rows(trainer._reduced(generator(average.expand_as(start)[None])))[0]
    assert float((start - average - read).norm()) < 0.2 * float(at_average.norm())
    assert trainer.average is not None and torch.equal(trainer.average.latent_avg, start)
    settled = start.clone()
    trainer.begin_with(trainer.encoder.state_dict(), "lite", tmp_path)  # its own kind goes on where it was
    assert torch.equal(trainer.encoder.latent_avg, settled)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"encoder": ENCODER}, "the method restyle and an encoder of 3 input channels do not go together"),
        ({"task": TaskData()}, "the method psp and an encoder of 6 input channels do not go together"),
        ({"losses": EncoderLosses(lpips=0.0, id=0.0, code=1.0, draw_every=2)}, "every step has to draw"),
        ({"losses": EncoderLosses(l2=0.0, lpips=0.0, id=0.0, code=1.0)}, "every step has to draw"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(change: dict[str, object], part: str) -> None:
    with pytest.raises(UsageError, match=part):
        dataclasses.replace(CONFIG, **change)  # type: ignore[arg-type]


def test_presets_are_the_published_settings_and_those_of_the_small_encoder() -> None:
    published, small = (
        load_training(EncoderTraining, "encoder", name, {}) for name in ("restyle-ffhq", "lite-restyle")
    )
    assert (published.task.method, published.task.passes, published.run.batch) == ("restyle", 5, 8)
    assert (published.losses.l2, published.losses.lpips, published.losses.id, published.losses.w_norm) == (
        1,
        0.8,
        0.1,
        0,
    )
    assert published.encoder == EncoderSpec(kind="restyle", input_channels=6)
    assert (small.encoder.kind, small.encoder.residual, small.task.heads) == ("lite", True, "kept")
    with pytest.raises(UsageError, match="passes is 0, expected 1 to 100"):
        TaskData(method="restyle", passes=0)
