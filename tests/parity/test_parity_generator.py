"""The StyleGAN2 generator and discriminator against the golden numbers, loaded from published names."""

from __future__ import annotations

import pytest
import torch
from golden_numbers import (
    average,
    discriminator_layout,
    draw,
    filled,
    generator_layout,
    golden,
    loaded,
    nvidia_layout,
    picture,
)
from published_discriminator import convert_discriminator

from pixel2style2pixel_cli.convert.nvidia import nvidia_to_rosinality
from pixel2style2pixel_cli.convert.rosinality import convert_generator, generator_rows
from pixel2style2pixel_cli.networks.discriminator import Discriminator
from pixel2style2pixel_cli.networks.inference import InferenceGenerator
from pixel2style2pixel_cli.networks.stylegan2 import Generator, mix_styles

GENERATORS = [
    (32, 2, 4),
    pytest.param(256, 1, 4, marks=pytest.mark.slow),
    pytest.param(1024, 1, 9, marks=pytest.mark.slow),
]


def golden_generator(resolution: int) -> Generator:
    spec, state = convert_generator(filled(generator_layout(resolution), "g", "golden"), average((512,)))
    return loaded(Generator(spec), state)


@pytest.mark.parametrize(("resolution", "batch", "crossover"), GENERATORS)
@torch.no_grad()
def test_generator_gives_the_published_pictures(resolution: int, batch: int, crossover: int) -> None:
    numbers, network = golden(f"generator_{resolution}"), golden_generator(resolution)
    spec = network.spec
    w = network.repeat(draw("w", (batch, 512)))
    z1, z2 = draw("z1", (batch, 512)), draw("z2", (batch, 512))
    numbers.check("mapping_z1", network.mapping(z1))
    image, features = network.synthesise(w)
    numbers.check("image_w", image)
    numbers.check("features_w", features)
    drawing = InferenceGenerator(network)
    numbers.check("image_w", drawing(w))
    numbers.check("image_wplus", drawing(draw("w_plus", (batch, spec.n_styles, 512))))
    numbers.check("image_wplus", network(draw("w_plus", (batch, spec.n_styles, 512))))
    codes = network.map(z1)
    numbers.check("latents_z", codes)
    numbers.check("image_z", network(codes))
    truncated = network.map(z1, truncation=0.7)
    numbers.check("latents_z_truncated", truncated[:, 0])
    numbers.check("image_z_truncated", network(truncated))
    mixed = mix_styles(codes, network.map(z2), crossover)
    numbers.check("latents_mixed", mixed)
    numbers.check("image_mixed", network(mixed))
    noise = [draw(f"noise{i}", (1, 1, side, side)) for i, side in enumerate(spec.noise_sizes)]
    numbers.check("image_w_other_noise", network(w, noise))
    numbers.check("image_w_other_noise", drawing(w, noise))


def test_generator_gradients_are_the_published_ones() -> None:
    numbers, network = golden("generator_32"), golden_generator(32)
    w = draw("w", (2, 512)).requires_grad_()
    image = network(network.repeat(w))
    numbers.check("image_w", image)
    (image * draw("cotangent", tuple(image.shape))).sum().backward()
    assert w.grad is not None
    numbers.check_gradient("grad_w", w.grad)
    rows, _ = generator_rows(network.spec)
    ours = {row.theirs: network.get_parameter(row.ours) for row in rows if not row.ours.startswith("noise_")}
    checked = [key.removeprefix("grad.") for key in numbers.arrays if key.startswith("grad.")]
    names = {key.removesuffix(f".{part}") for key in checked for part in ("slice", "stride", "shape", "stats")} & set(
        ours
    )
    assert len(names) == 8
    for name in names:
        gradient = ours[name].grad
        assert gradient is not None
        stored = f"grad.{name}"
        shape = numbers.arrays[stored].shape if stored in numbers.arrays else tuple(numbers.arrays[f"{stored}.shape"])
        numbers.check_gradient(stored, gradient.reshape(shape))


@pytest.mark.parametrize(
    ("resolution", "batches"), [(32, (1, 2, 4, 8)), pytest.param(256, (1, 4, 8), marks=pytest.mark.slow)]
)
def test_discriminator_gives_the_published_scores(resolution: int, batches: tuple[int, ...]) -> None:
    numbers = golden(f"discriminator_{resolution}")
    spec, state = convert_discriminator(filled(discriminator_layout(resolution), "d", "golden"))
    network = loaded(Discriminator(spec), state)
    for batch in batches:
        image = picture(f"x{batch}", (batch, 3, resolution, resolution)).requires_grad_(batch <= 4)
        score = network(image)
        if batch == 1:  # one number has no deviation; the others' is the measure
            assert abs(score.item() - numbers.arrays["score_b1"].item()) < 1e-4 * numbers.arrays["score_b8"].std()
        else:
            numbers.check(f"score_b{batch}", score)
        if batch <= 4:
            numbers.check_gradient(f"grad_x_b{batch}", torch.autograd.grad(score.sum(), image)[0])


@pytest.mark.parametrize(
    ("resolution", "mapping_layers", "channel_base"),
    [
        (64, 8, 32768),
        pytest.param(256, 2, 16384, marks=pytest.mark.slow),
        pytest.param(256, 8, 32768, marks=pytest.mark.slow),
    ],
)
@torch.no_grad()
def test_nvidia_generator_gives_the_same_pictures(resolution: int, mapping_layers: int, channel_base: int) -> None:
    numbers, salt = golden("ada_convert"), f"ada{resolution}"
    published = filled(nvidia_layout(resolution, channel_base, mapping_layers), "ada", salt)
    spec, state = convert_generator(*nvidia_to_rosinality(published))
    assert (spec.mapping_layers, spec.resolution) == (mapping_layers, resolution)
    assert spec.channel_multiplier == channel_base / 16384
    network = loaded(Generator(spec), state)
    tag = f"s{resolution}_map{mapping_layers}_base{channel_base}"
    z = draw("z", (1, 512), salt)
    codes = network.map(z)
    numbers.check(f"{tag}.w", codes.contiguous())
    numbers.check(f"{tag}.image_z", network(codes))
    numbers.check(f"{tag}.image_z_trunc07", network(network.map(z, truncation=0.7)))
    numbers.check(f"{tag}.image_wplus", network(draw("w_plus", (1, spec.n_styles, 512), salt)))


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("resolution", "multiplier", "generator", "discriminator"),
    [
        (128, 1, 24_525_213, 23_882_369),
        (128, 2, 29_328_669, 28_389_121),
        (256, 1, 24_767_458, 24_001_089),
        (256, 2, 30_034_338, 28_864_129),
        (1024, 1, 24_900_764, 24_038_161),
        (1024, 2, 30_370_060, 29_012_513),
    ],
)
def test_parameter_counts(resolution: int, multiplier: int, generator: int, discriminator: int) -> None:
    from pixel2style2pixel_cli.networks.specs import DiscriminatorSpec, GeneratorSpec

    with torch.device("meta"):
        assert parameters(Generator(GeneratorSpec(resolution=resolution, channel_multiplier=multiplier))) == generator
        spec = DiscriminatorSpec(resolution=resolution, channel_multiplier=multiplier)
        assert parameters(Discriminator(spec)) == discriminator
