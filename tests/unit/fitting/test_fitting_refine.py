"""Refinement of the encoder for one picture: nearer, generator and trained encoder untouched, Ctrl-C keeps it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.fitting.frozen import FrozenGenerator
from pixel2style2pixel_cli.fitting.objective import Objective
from pixel2style2pixel_cli.fitting.refine import COMPANIONS, Companions, Refinement
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.weights.digest import tensor_digest

SPEC = GeneratorSpec(resolution=32, style_dim=8, z_dim=8, channel_multiplier=1 / 32, channel_max=16, mapping_layers=1)
SIDE = 32
RATE = 3e-3


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(SPEC).requires_grad_(False).eval()


def encoder_of(kind: str = "psp", stage: int = -1) -> Encoder:
    torch.manual_seed(1)
    spec = EncoderSpec(kind=kind, input_size=SIDE, units=(1, 1, 1, 1), widths=(8, 8, 8, 16), head_width=8)
    if stage >= 0:
        spec = dataclasses.replace(spec, stage=stage)
    return build_encoder(spec, SPEC.n_styles, SPEC.style_dim).requires_grad_(False).eval()


def refinement(encoder: Encoder, generator: Generator, seed: int = 0) -> Refinement:
    return Refinement(encoder, generator, judge=None, seed=seed)


@pytest.fixture
def picture(generator: Generator) -> Tensor:
    torch.manual_seed(2)
    return generator(generator.map(torch.randn(1, SPEC.z_dim))).clamp(-1, 1)


@pytest.mark.parametrize(("kind", "stage"), [("psp", -1), ("e4e", -1), ("e4e", 0), ("psp_w", -1)])
def test_the_picture_comes_nearer_and_only_a_copy_of_the_encoder_changes(
    generator: Generator, picture: Tensor, kind: str, stage: int
) -> None:
    encoder = encoder_of(kind, stage)
    digests = [tensor_digest(dict(network.state_dict())) for network in (encoder, generator)]
    seen: list[tuple[int, float]] = []
    made = refinement(encoder, generator).run(
        picture, picture, steps=30, rate=RATE, on_step=lambda step, loss: seen.append((step, loss))
    )
    first = refinement(encoder, generator).run(picture, picture, steps=0)
    assert made.loss < 0.9 * first.loss and made.code.shape == (1, SPEC.n_styles, SPEC.style_dim)
    assert (first.steps, first.best_step, made.steps) == (0, 0, 30) and not made.interrupted
    assert [step for step, _ in seen] == list(range(1, 31)) and min(loss for _, loss in seen) == made.loss
    assert seen[made.best_step - 1] == (made.best_step, made.loss)
    drawn = Objective(picture, pixels="mse")(FrozenGenerator(generator)(made.code))
    torch.testing.assert_close(float(drawn), made.loss)
    assert [tensor_digest(dict(network.state_dict())) for network in (encoder, generator)] == digests
    assert all(p.grad is None and not p.requires_grad for n in (encoder, generator) for p in n.parameters())
    assert not encoder.training
    if stage == 0:
        assert torch.equal(made.code, made.code[:, :1].expand_as(made.code))  # still in W


def test_every_picture_starts_from_the_trained_weights(generator: Generator, picture: Tensor) -> None:
    encoder = encoder_of()
    both = refinement(encoder, generator)
    both.run(-picture, -picture, steps=5, rate=RATE)
    again = both.run(picture, picture, steps=5, rate=RATE)
    alone = refinement(encoder, generator).run(picture, picture, steps=5, rate=RATE)
    assert torch.equal(again.code, alone.code) and again.loss == alone.loss


def test_companions_follow_the_seed_and_change_with_the_step(generator: Generator, picture: Tensor) -> None:
    drawing = FrozenGenerator(generator)
    faces = Companions(generator, drawing, 0)
    assert faces.of_step(3).shape == (COMPANIONS, 3, SIDE, SIDE) and float(faces.of_step(3).abs().max()) <= 1
    assert torch.equal(faces.of_step(3), Companions(generator, drawing, 0).of_step(3))
    assert not torch.equal(faces.of_step(3), faces.of_step(4))
    assert not torch.equal(faces.of_step(3), Companions(generator, drawing, 1).of_step(3))
    encoder = encoder_of()
    codes = [refinement(encoder, generator, seed).run(picture, picture, steps=4, rate=RATE).code for seed in (0, 0, 1)]
    assert torch.equal(codes[0], codes[1]) and not torch.equal(codes[0], codes[2])


def after_steps(generator: Generator, picture: Tensor, monkeypatch: pytest.MonkeyPatch, *, held: bool) -> Tensor:
    """The losses (8,) of the picture and of other companions than it met, by the encoder after its steps."""
    look, used = Refinement._look, list[Encoder]()

    def looking(self: Refinement, tuned: Encoder, *given: object) -> tuple[Tensor, Tensor]:
        used.append(tuned)
        code, losses = look(self, tuned, *given)  # type: ignore[arg-type]
        return code, losses if held else losses[:1]

    monkeypatch.setattr(Refinement, "_look", looking)
    made = refinement(encoder_of(), generator)
    made.run(picture, picture, steps=40, rate=RATE)
    with torch.no_grad():
        return look(made, used[-1], picture, picture, 1000)[1]


def test_companions_hold_the_encoder(generator: Generator, picture: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equation 6: without the other faces in the loss the picture comes nearer, and those are forgotten."""
    with monkeypatch.context() as patch:
        free = after_steps(generator, picture, patch, held=False)
    with monkeypatch.context() as patch:
        held = after_steps(generator, picture, patch, held=True)
    assert len(free) == len(held) == COMPANIONS + 1
    assert float(free[0]) < float(held[0]) and float(held[1:].mean()) < float(free[1:].mean())


def stopping(at: int) -> Callable[[int, float], None]:
    def tell(step: int, loss: float) -> None:
        if step == at:
            raise KeyboardInterrupt

    return tell


def test_an_interrupt_keeps_the_best_code(generator: Generator, picture: Tensor) -> None:
    encoder = encoder_of()
    made = refinement(encoder, generator).run(picture, picture, steps=1000, rate=RATE, on_step=stopping(6))
    whole = refinement(encoder, generator).run(picture, picture, steps=6, rate=RATE)
    assert made.interrupted and made.steps == 6
    assert torch.equal(made.code, whole.code) and made.loss == whole.loss


def test_a_loss_that_is_no_number_is_said(generator: Generator, picture: Tensor) -> None:
    with pytest.raises(InputError, match="the refinement has failed at step 0: its loss is not a number"):
        refinement(encoder_of(), generator).run(picture, picture * float("nan"), steps=3)
