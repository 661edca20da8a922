"""The synthesis network for drawing alone: the module's pictures, whatever the noise, the sizes and the strips."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call

from pixel2style2pixel_cli.errors import ShapeError
from pixel2style2pixel_cli.networks import inference
from pixel2style2pixel_cli.networks.inference import InferenceGenerator, with_tensors
from pixel2style2pixel_cli.networks.specs import GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator

# In the first few pixels meet many weights and are changed themselves, in the second the weights are from 16 px on.
SPECS = [
    GeneratorSpec(resolution=32, style_dim=16, z_dim=8, channel_multiplier=1 / 8, channel_max=64, mapping_layers=2),
    GeneratorSpec(resolution=64, style_dim=8, z_dim=6, channel_multiplier=1 / 16, channel_max=8, mapping_layers=2),
]


@pytest.fixture(params=SPECS, ids=lambda spec: f"{spec.resolution} px")
def generator(request: pytest.FixtureRequest) -> Generator:
    torch.manual_seed(0)
    network = Generator(request.param)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.2)
            elif name.endswith("bias"):
                parameter.add_(0.3 * torch.randn_like(parameter))
    return network.requires_grad_(False)


def codes_for(generator: Generator, count: int = 3) -> torch.Tensor:
    spec = generator.spec
    return torch.randn(count, spec.n_styles, spec.style_dim, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("mode", ["fixed", "off", "given", "own"])
def test_pictures_are_the_modules(mode: str, generator: Generator) -> None:
    codes = codes_for(generator)
    count = 1 if mode == "given" else len(codes)
    maps = [torch.randn(count, 1, side, side) for side in generator.spec.noise_sizes]
    noise = mode if mode in ("fixed", "off") else maps
    wanted = generator(codes, noise)
    torch.testing.assert_close(InferenceGenerator(generator)(codes, noise), wanted, rtol=1e-5, atol=2e-5)
    assert float(wanted.std()) > 0.1
    other = generator(codes, "off" if mode == "fixed" else "fixed")
    assert not torch.allclose(wanted, other, atol=1e-3)


def test_a_picture_does_not_depend_on_its_company(generator: Generator) -> None:
    codes, draw = codes_for(generator), InferenceGenerator(generator)
    together = draw(codes)
    assert all(torch.equal(draw(codes[i : i + 1])[0], together[i]) for i in range(len(codes)))


@pytest.mark.parametrize("numbers", [1, 100, 1 << 30])
def test_strips_change_nothing(numbers: int, generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    codes, draw = codes_for(generator, 1), InferenceGenerator(generator)
    wanted = draw(codes)
    monkeypatch.setattr(inference, "STRIP_NUMBERS", numbers)
    assert torch.equal(draw(codes), wanted)


def test_weights_and_stored_noise_stay_as_they_are(generator: Generator) -> None:
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    InferenceGenerator(generator)(codes_for(generator))
    assert all(torch.equal(value, before[key]) for key, value in generator.state_dict().items())


def test_other_tensors_are_drawn_and_written_ones_noticed(generator: Generator) -> None:
    codes, draw = codes_for(generator), InferenceGenerator(generator)
    weight = generator.conv_first.conv.weight
    noise = torch.ones_like(generator.get_buffer("noise_3"))
    changed = {"constant": generator.constant * 2, "noise_3": noise, "conv_first.conv.weight": weight * 1.1}
    other = with_tensors(generator, changed)
    wanted = functional_call(generator, changed, (codes,))
    torch.testing.assert_close(InferenceGenerator(other)(codes), wanted, rtol=1e-5, atol=2e-5)
    assert other.blocks[1].conv.conv.weight is generator.blocks[1].conv.conv.weight  # not a copy of everything
    plain = draw(codes)
    assert draw.is_current and not torch.allclose(plain, wanted, atol=1e-3)
    weight.mul_(1.5)
    assert not draw.is_current


def test_codes_of_another_shape_are_refused(generator: Generator) -> None:
    with pytest.raises(ShapeError, match=r"W\+ code has shape"):
        InferenceGenerator(generator)(codes_for(generator)[:, 1:])
