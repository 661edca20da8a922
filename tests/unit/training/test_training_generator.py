"""Training a generator: the loss falls, every network moves that should, nothing else; the export explains itself."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tiny_runs import (
    ADVERSARIAL,
    AUTOENCODER,
    CPU,
    DISCRIMINATOR,
    ENCODER,
    GENERATOR,
    SIDE,
    fresh,
)
from torch import Tensor, nn

from pixel2style2pixel_cli.engine.loading import load_generator_file
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.losses import pixel
from pixel2style2pixel_cli.networks.discriminator import Discriminator
from pixel2style2pixel_cli.networks.specs import EncoderKind
from pixel2style2pixel_cli.training.cartoon import cartoon
from pixel2style2pixel_cli.training.config import GeneratorLosses, GeneratorTraining
from pixel2style2pixel_cli.training.data import Batch, PictureSource, held_out_batches, training_batches
from pixel2style2pixel_cli.training.export import export_encoder
from pixel2style2pixel_cli.training.generator import GeneratorTrainer, fall_back, feature_distance
from pixel2style2pixel_cli.training.runtime import Runtime
from pixel2style2pixel_cli.weights.digest import tensor_digest
from pixel2style2pixel_cli.weights.header import METADATA_KEY


@pytest.fixture
def source(discs: Path) -> PictureSource:
    return PictureSource([discs], SIDE)


def batches(source: PictureSource, count: int) -> list[Batch]:
    return list(islice(training_batches(source, batch=4, seed=0, start=0, held_out=4, flip=True), count))


def snapshot(modules: Mapping[str, nn.Module]) -> dict[str, dict[str, Tensor]]:
    return {name: copy.deepcopy(module.state_dict()) for name, module in modules.items()}


def moved(modules: Mapping[str, nn.Module], before: dict[str, dict[str, Tensor]]) -> set[str]:
    """Names of the networks of which any parameter changed; ``generator`` and ``mapping`` apart."""
    found = set()
    for name, module in modules.items():
        for key, _ in module.named_parameters():
            if not torch.equal(module.state_dict()[key], before[name][key]):
                found.add("mapping" if name == "generator" and key.startswith("mapping.") else name)
    return found


def test_thirty_steps_of_the_autoencoder_lower_the_loss(source: PictureSource) -> None:
    trainer = fresh()
    before = trainer.validate(held_out_batches(source, batch=4, held_out=4))
    values = [trainer.step(batch, step) for step, batch in enumerate(batches(source, 30))]
    first, last = (sum(v["autoencode"] for v in part) / 5 for part in (values[:5], values[-5:]))
    assert last < 0.7 * first
    after = trainer.validate(held_out_batches(source, batch=4, held_out=4))
    assert before.keys() == after.keys() == {"mse_w", "mse_w_plus", "mse_z"}
    assert after["mse_w"] < before["mse_w"] and after["mse_w_plus"] < before["mse_w_plus"]


def test_the_mapping_network_learns_from_pairs_alone(source: PictureSource) -> None:
    trainer = fresh()
    before = snapshot(trainer.modules())
    values = trainer.step(batches(source, 1)[0], 0)
    assert values.keys() == {"autoencode", "pair_latent"}
    assert moved(trainer.modules(), before) == {
        "generator", "mapping", "encoder", "generator_average", "encoder_average",
    }  # fmt: skip
    alone = fresh(dataclasses.replace(AUTOENCODER, losses=GeneratorLosses(autoencode=1.0)))
    before = snapshot(alone.modules())
    alone.step(batches(source, 1)[0], 0)
    assert "mapping" not in moved(alone.modules(), before)


def test_mirrored_pictures_do_not_teach_the_mapping_network(source: PictureSource) -> None:
    trainer = fresh()
    mirrored = source.batch([0, 1, 2, 3], [True] * 4)
    assert trainer.step(mirrored, 0).keys() == {"autoencode"}


def test_pictures_of_known_vectors_can_be_met(source: PictureSource) -> None:
    config = dataclasses.replace(AUTOENCODER, losses=GeneratorLosses(autoencode=1.0, pair_image=1.0))
    assert fresh(config).step(batches(source, 1)[0], 0).keys() == {"autoencode", "pair_latent", "pair_image"}


def test_adversarial_steps_move_generator_and_discriminator(source: PictureSource) -> None:
    trainer = fresh(ADVERSARIAL)
    before = snapshot(trainer.modules())
    names: set[str] = set()
    for step, batch in enumerate(batches(source, 4)):
        values = trainer.step(batch, step)
        assert all(torch.isfinite(torch.tensor(v)) for v in values.values())
        names |= values.keys()
        assert ("r1" in values) == ("path" in values) == (step % 2 == 0)  # both every second step here
    assert names == {"adversarial", "discriminator", "r1", "path"}
    assert moved(trainer.modules(), before) == {"generator", "mapping", "generator_average", "discriminator"}
    assert float(trainer.extra()["path_mean"]) > 0
    assert trainer.validate(held_out_batches(source, batch=4, held_out=4)).keys() == {"mse_z"}


def test_generator_steps_leave_the_discriminator_alone_and_the_other_way_round(source: PictureSource) -> None:
    trainer = fresh(ADVERSARIAL)
    batch = batches(source, 1)[0]
    before = snapshot(trainer.modules())
    shown = trainer._step_generator(batch, 1, {})
    assert moved(trainer.modules(), before) == {"generator", "mapping"}
    assert len(shown) == 1 and all(not fake.requires_grad for fake in shown[0].fakes)
    before = snapshot(trainer.modules())
    trainer._step_discriminator(batch, shown, 1, {})
    assert moved(trainer.modules(), before) == {"discriminator"}


def test_autoencoder_and_discriminator_together(source: PictureSource) -> None:
    config = GeneratorTraining(
        generator=GENERATOR, encoder=ENCODER, discriminator=DISCRIMINATOR, run=AUTOENCODER.run,
        losses=GeneratorLosses(autoencode=1.0, adversarial=0.1, features=0.5, pair_latent=0.1, path_length=0.0),
    )  # fmt: skip
    trainer = fresh(config)
    before = snapshot(trainer.modules())
    values = trainer.step(batches(source, 1)[0], 0)
    assert values.keys() == {"autoencode", "pair_latent", "adversarial", "features", "discriminator", "r1"}
    assert moved(trainer.modules(), before) == {
        "generator", "mapping", "encoder", "discriminator", "generator_average", "encoder_average",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["psp", "psp_w", "psp_wplus", "e4e"])
def test_any_encoder_can_be_the_autoencoders(source: PictureSource, kind: EncoderKind) -> None:
    config = dataclasses.replace(AUTOENCODER, encoder=dataclasses.replace(ENCODER, kind=kind))
    trainer = fresh(config)
    batch = batches(source, 1)[0]
    assert trainer.step(batch, 0)["autoencode"] > 0
    assert len(trainer.samples(batch)) == 6  # pictures, W, W+, from z, two rows of random ones


def test_bfloat16_steps_are_close_to_float32(source: PictureSource) -> None:
    half = dataclasses.replace(AUTOENCODER, run=dataclasses.replace(AUTOENCODER.run, precision="bfloat16"))
    losses = []
    for config in (AUTOENCODER, half):
        trainer = fresh(config)
        torch.manual_seed(1)
        losses.append(trainer.step(batches(source, 1)[0], 0)["autoencode"])
        assert {p.dtype for p in trainer.generator.parameters()} == {torch.float32}
    assert losses[0] != losses[1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize(
    ("precision", "capabilities", "half"),
    [
        ("auto", {"avx512_bf16": True}, True),
        ("auto", {"avx512_bf16": False, "amx_bf16": True}, True),
        ("auto", {"avx512_bf16": False, "amx_bf16": False}, False),
        ("auto", None, False),  # a torch that does not tell
        ("float32", {"avx512_bf16": True}, False),
        ("bfloat16", None, True),
    ],
)
def test_half_precision_is_taken_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, precision: str, capabilities: dict[str, bool] | None, half: bool
) -> None:
    if capabilities is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    with Runtime(CPU, precision).autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if half else torch.float32)


def test_the_average_halves_its_distance_every_so_many_pictures(source: PictureSource) -> None:
    trainer = fresh()  # ema_images is 20, a batch 4
    old = trainer.average.constant.clone()
    trainer.step(batches(source, 1)[0], 0)
    share = 0.5 ** (4 / 20)
    torch.testing.assert_close(trainer.average.constant, share * old + (1 - share) * trainer.generator.constant)


def test_part_of_the_codes_falls_back_to_one_row() -> None:
    codes = torch.randn(400, 8, 3)
    torch.manual_seed(0)
    mixed = fall_back(codes, 0.3)
    same = torch.isclose(mixed, codes, atol=1e-6).all(dim=2).all(dim=1)
    flat = torch.isclose(mixed, codes.mean(dim=1, keepdim=True), atol=1e-6).all(dim=2).all(dim=1)
    assert bool((same ^ flat).all()) and 0.2 < float(same.float().mean()) < 0.4
    assert bool(torch.isclose(fall_back(codes, 1.0), codes, atol=1e-6).all())


def test_feature_distance_has_no_unit() -> None:
    torch.manual_seed(0)
    judge = Discriminator(DISCRIMINATOR).requires_grad_(False)
    image, target = torch.randn(2, 3, SIDE, SIDE).requires_grad_(), torch.randn(2, 3, SIDE, SIDE)
    assert float(feature_distance(judge, target, target)) == 0
    found = feature_distance(judge, image, target)
    ours, theirs = judge.features(image), judge.features(target)
    expected = torch.stack([(a - b).abs().mean() / b.abs().mean() for a, b in zip(ours, theirs, strict=True)]).mean()
    torch.testing.assert_close(found, expected)
    assert torch.autograd.grad(found, image)[0].abs().sum() > 0


FROZEN = dataclasses.replace(AUTOENCODER.rates, encoder=0.0)


def toon(**losses: float) -> GeneratorTraining:
    weights = GeneratorLosses(autoencode=1.0, w_plus_share=1.0, cartoon=1.0, **losses)
    return dataclasses.replace(AUTOENCODER, losses=weights, rates=FROZEN)


def test_an_encoder_of_rate_zero_stays_what_it_is(source: PictureSource) -> None:
    trainer = fresh(toon(pair_latent=0.1))
    assert isinstance(trainer.encoder, nn.Module)
    nn.init.uniform_(next(b for n, b in trainer.encoder.named_buffers() if n.endswith("running_mean")))
    before = snapshot(trainer.modules())
    for step, batch in enumerate(batches(source, 3)):
        trainer.step(batch, step)
    assert moved(trainer.modules(), before) == {"generator", "mapping", "generator_average"}
    for name in ("encoder", "encoder_average"):  # statistics of batch normalisation are buffers
        after = trainer.modules()[name].state_dict()
        assert all(torch.equal(after[key], value) for key, value in before[name].items()), name
    assert "encoder" not in trainer.optimisers()


def drawing(trainer: GeneratorTrainer, batch: Batch) -> Tensor:
    """The cartoon of what the generator drew when the run began."""
    assert trainer.original is not None and trainer.encoder is not None
    with torch.no_grad():
        return cartoon(trainer.original(trainer.encode(trainer.encoder, batch.image), "off"), 1.0)


def test_the_drawing_is_the_target_and_the_photograph_is_read(
    source: PictureSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = source.batch([0, 1, 2, 3], [False] * 4)
    trainer = fresh(toon(pair_image=1.0))
    target = drawing(trainer, batch)
    assert torch.equal(trainer.target(batch, batch.image), target) and not torch.equal(target, batch.image)
    read, wanted = [], []
    encode, pyramid = trainer.encode, pixel.pyramid_l1

    def encode_seen(encoder: nn.Module, image: Tensor) -> Tensor:
        read.append(image)
        return encode(encoder, image)

    def pyramid_seen(image: Tensor, goal: Tensor, levels: int = 5, weight_B1HW: Tensor | None = None) -> Tensor:
        wanted.append(goal)
        return pyramid(image, goal, levels, weight_B1HW)

    monkeypatch.setattr(trainer, "encode", encode_seen)
    monkeypatch.setattr(pixel, "pyramid_l1", pyramid_seen)
    trainer.step(batch, 0)
    assert len(read) == 2 and all(torch.equal(image, batch.image) for image in read)
    assert len(wanted) == 2 and all(torch.equal(goal, target) for goal in wanted)


def test_the_original_stays_and_is_taken_when_asked(source: PictureSource, tmp_path: Path) -> None:
    trainer = fresh(toon())
    assert trainer.original is not None and "original" in trainer.modules()
    before = {key: value.clone() for key, value in trainer.original.state_dict().items()}
    trainer.step(source.batch([0, 1], [False] * 2), 0)
    assert all(torch.equal(value, before[key]) for key, value in trainer.original.state_dict().items())
    trainer.keep_original()
    now = trainer.generator.state_dict()
    assert all(torch.equal(value, now[key]) for key, value in trainer.original.state_dict().items())
    assert any(not torch.equal(value, before[key]) for key, value in now.items())


def test_validation_and_samples_compare_with_the_drawing(source: PictureSource) -> None:
    batch = source.batch([0, 1], [False] * 2)
    trainer, plain = fresh(toon()), fresh()
    assert len(trainer.samples(batch)) == len(plain.samples(batch)) + 1
    assert np.array_equal(trainer.samples(batch)[1], to_uint8(drawing(trainer, batch)))
    drawn = trainer._drawn(batch, batch.image)["mse_w_plus"]
    expected = float((drawn - drawing(trainer, batch)).square().mean())
    assert trainer.validate([batch])["mse_w_plus"] == pytest.approx(expected, rel=1e-5)


def test_the_discriminator_judges_against_drawings(source: PictureSource, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = GeneratorLosses(
        autoencode=1.0, w_plus_share=1.0, adversarial=0.1, features=0.5, cartoon=1.0, path_length=0.0
    )
    trainer = fresh(dataclasses.replace(AUTOENCODER, discriminator=DISCRIMINATOR, losses=losses))
    seen: list[Tensor] = []
    monkeypatch.setattr(trainer, "_seen", lambda image: (seen.append(image), image)[1])
    batch = batches(source, 1)[0]
    target = drawing(trainer, batch)
    trainer.step(batch, 1)
    assert any(torch.equal(image, target) for image in seen)
    assert not any(torch.equal(image, batch.image) for image in seen)


def test_the_export_is_the_average_with_its_spec(source: PictureSource, tmp_path: Path) -> None:
    trainer = fresh()
    trainer.step(batches(source, 1)[0], 0)
    (path,) = trainer.export(tmp_path)
    generator, digest = load_generator_file(path, CPU, torch.float32)
    assert generator.spec == GENERATOR
    state = load_file(path)
    assert digest == tensor_digest(state)
    assert {value.dtype for value in state.values()} == {torch.float16}
    found = generator.state_dict()
    for key, value in trainer.average.state_dict().items():
        torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-6)
    centre = generator.estimate_latent_avg(10_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(generator.latent_avg, centre, rtol=1e-2, atol=1e-3)
    assert trainer.export(tmp_path)[0].read_bytes() == path.read_bytes()


def test_an_exported_encoder_keeps_the_range_of_its_statistics(tmp_path: Path) -> None:
    state = {
        "a.weight": torch.ones(2, 2),
        "a.running_var": torch.tensor([1e-9, 3e5]),
        "a.num_batches_tracked": torch.tensor(7),
    }
    path = export_encoder(tmp_path, state, ENCODER)
    found = load_file(path)
    assert found["a.weight"].dtype == torch.float16 and int(found["a.num_batches_tracked"]) == 7
    torch.testing.assert_close(found["a.running_var"].float(), state["a.running_var"])
    with safe_open(path, framework="pt") as file:
        content = json.loads(file.metadata()[METADATA_KEY])
    assert content["kind"] == "encoder" and content["licence"] == "mit"
    assert content["spec"] == json.loads(json.dumps(dataclasses.asdict(ENCODER)))


def test_resuming_the_mean_path_length() -> None:
    trainer = GeneratorTrainer(ADVERSARIAL, CPU)
    trainer.load_extra({"path_mean": torch.tensor(0.25)})
    assert float(trainer.extra()["path_mean"]) == 0.25
