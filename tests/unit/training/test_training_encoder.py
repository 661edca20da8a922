"""Training an encoder: the loss falls, the generator stays, another run's encoder is taken over."""

from __future__ import annotations

import copy
import dataclasses
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import AUTOENCODER, CPU, ENCODER, GENERATOR, INVERSION, SIDE, fresh, train
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.losses.perceptual import PerceptualLoss
from pixel2style2pixel_cli.networks.specs import EncoderKind
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.checkpoint import FILE
from pixel2style2pixel_cli.training.config import Augmentation, EncoderLosses, EncoderTraining
from pixel2style2pixel_cli.training.data import Batch, PictureSource, held_out_batches, training_batches
from pixel2style2pixel_cli.training.encoder import EncoderTrainer, check_size


@pytest.fixture
def source(discs: Path) -> PictureSource:
    return PictureSource([discs], SIDE)


def batches(source: PictureSource, count: int) -> list[Batch]:
    return list(islice(training_batches(source, batch=4, seed=0, start=0, held_out=4, flip=True), count))


def frozen() -> Generator:
    torch.manual_seed(0)
    generator = Generator(GENERATOR)
    generator.latent_avg.copy_(torch.randn(GENERATOR.style_dim))
    return generator


def trainer_of(config: EncoderTraining = INVERSION, **losses: nn.Module) -> EncoderTrainer:
    generator = frozen()
    torch.manual_seed(1)
    return EncoderTrainer(config, generator, CPU, **losses)  # type: ignore[arg-type]


def test_thirty_steps_lower_the_loss_and_leave_the_generator(source: PictureSource) -> None:
    trainer = trainer_of()
    generator = trainer.generator
    before = copy.deepcopy(generator.state_dict())
    held = trainer.validate(held_out_batches(source, batch=4, held_out=4))
    values = [trainer.step(batch, step) for step, batch in enumerate(batches(source, 30))]
    assert values[0].keys() == {"l2", "pyramid", "gradient"}
    first, last = (sum(v["l2"] for v in part) / 5 for part in (values[:5], values[-5:]))
    assert last < 0.8 * first
    after = trainer.validate(held_out_batches(source, batch=4, held_out=4))
    assert after["mse"] < held["mse"] and after["mse_average_face"] == held["mse_average_face"]
    assert all(torch.equal(value, before[key]) for key, value in generator.state_dict().items())
    assert all(p.grad is None for p in generator.parameters()) and not generator.training


def test_validation_by_hand(source: PictureSource) -> None:
    trainer = trainer_of(dataclasses.replace(INVERSION, rates=dataclasses.replace(INVERSION.rates, ema_images=0.0)))
    assert trainer.average is None and trainer.modules().keys() == {"encoder"}
    found = trainer.validate(held_out_batches(source, batch=3, held_out=4))
    image = source.batch([16, 17, 18, 19], [False] * 4).image
    with torch.no_grad():
        drawn = trainer.generator(trainer.encoder.eval()(image))
        mean = trainer.generator(trainer.encoder.latent_avg[None])
    assert found["mse"] == pytest.approx(float((drawn - image).square().mean()), rel=1e-4)
    assert found["mse_average_face"] == pytest.approx(float((mean - image).square().mean()), rel=1e-4)


class Distance(nn.Module):
    """In the place of a published network."""

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        return (image - target).abs().mean(dim=(1, 2, 3))


def test_each_loss_is_asked_for_by_its_weight(source: PictureSource) -> None:
    every = EncoderLosses(l2=0.0, lpips=1.0, id=1.0, w_norm=0.1, pyramid=1.0, gradient=1.0)
    strongest = Augmentation(colour=1.0, blur=1.0, noise=1.0, jpeg=1.0, shift=1.0)
    config = dataclasses.replace(INVERSION, losses=every, augmentation=strongest)
    trainer = trainer_of(config, networks={name: PerceptualLoss(Distance()) for name in ("perceptual", "identity")})
    values = trainer.step(batches(source, 1)[0], 0)
    assert values.keys() == {"lpips", "id", "w_norm", "pyramid", "gradient"}
    assert values["lpips"] == values["id"] > 0
    assert len(trainer.samples(batches(source, 1)[0])) == 3


def test_the_encoder_sees_faults_and_the_loss_the_clean_picture(
    source: PictureSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, batch = trainer_of(), batches(source, 1)[0]
    fed: list[Tensor] = []
    trainer.encoder.register_forward_pre_hook(lambda _module, arguments: fed.append(arguments[0]))
    monkeypatch.setattr("pixel2style2pixel_cli.training.inputs.augment", lambda image, _strength: image * 0)
    targets: list[Tensor] = []
    losses = trainer._losses
    monkeypatch.setattr(
        trainer, "_losses", lambda drawn, target, batch: targets.append(target) or losses(drawn, target, batch)
    )
    trainer.step(batch, 0)
    assert float(fed[0].abs().max()) == 0 and torch.equal(targets[0], batch.image)


@pytest.mark.parametrize("kind", ["psp", "psp_w", "psp_wplus", "e4e"])
def test_an_autoencoders_encoder_gives_the_same_codes_after_taking_over(
    kind: EncoderKind, discs: Path, source: PictureSource, tmp_path: Path
) -> None:
    spec = dataclasses.replace(ENCODER, kind=kind)
    stage = dataclasses.replace(AUTOENCODER, encoder=spec, run=dataclasses.replace(AUTOENCODER.run, steps=1))
    before = fresh(stage)
    train(before, stage, discs, tmp_path)
    trainer = trainer_of(dataclasses.replace(INVERSION, encoder=spec))
    trainer.take_over(tmp_path / FILE)
    image = batches(source, 1)[0].image
    assert before.encoder_average is not None and trainer.average is not None
    with torch.no_grad():
        wanted = before.encode(before.encoder_average, image)
        for encoder in (trainer.encoder.eval(), trainer.average):
            torch.testing.assert_close(encoder(image), wanted, rtol=1e-4, atol=1e-4)
    assert float((wanted - trainer.encoder.latent_avg).abs().mean()) > 0.1  # the average did have to move


def test_an_encoders_own_run_is_taken_over_as_it_is(discs: Path, tmp_path: Path) -> None:
    before = trainer_of()
    train(before, INVERSION, discs, tmp_path)
    after = trainer_of()
    after.take_over(tmp_path / FILE)
    assert before.average is not None
    wanted = before.average.state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in after.encoder.state_dict().items())
    wider = trainer_of(dataclasses.replace(INVERSION, encoder=dataclasses.replace(ENCODER, head_width=12)))
    with pytest.raises(UsageError, match="has other sizes"):
        wider.take_over(tmp_path / FILE)


def test_the_export_is_the_average_with_the_average_code(source: PictureSource, tmp_path: Path) -> None:
    trainer = trainer_of()
    trainer.step(batches(source, 1)[0], 0)
    (path,) = trainer.export(tmp_path)
    state = load_file(path)
    assert trainer.average is not None
    assert state.keys() == trainer.average.state_dict().keys()
    assert state["latent_avg"].shape == (GENERATOR.n_styles, GENERATOR.style_dim)
    torch.testing.assert_close(state["latent_avg"].float(), trainer.encoder.latent_avg, rtol=1e-3, atol=1e-4)


def test_an_encoder_of_larger_pictures_than_the_generators_is_refused() -> None:
    with pytest.raises(UsageError, match="the encoder takes 64 px, the generator draws 32 px"):
        check_size(dataclasses.replace(INVERSION, encoder=dataclasses.replace(ENCODER, input_size=64)), frozen())
