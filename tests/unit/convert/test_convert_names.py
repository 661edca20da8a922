"""Renaming in both directions, and what a wrong state dict is told."""

from __future__ import annotations

import pytest
import torch
from published_discriminator import convert_discriminator, discriminator_rows
from tiny_checkpoints import GENERATOR, encoder_state, generator_state, spec_of

from pixel2style2pixel_cli.convert.faceid import recogniser_rows
from pixel2style2pixel_cli.convert.names import publish, rename
from pixel2style2pixel_cli.convert.psp import convert_encoder, encoder_rows
from pixel2style2pixel_cli.convert.rosinality import convert_generator, generator_rows, publish_generator
from pixel2style2pixel_cli.errors import IntegrityError
from pixel2style2pixel_cli.events import Event, Notice
from pixel2style2pixel_cli.networks.discriminator import Discriminator
from pixel2style2pixel_cli.networks.faceid import FaceRecogniser
from pixel2style2pixel_cli.networks.specs import DiscriminatorSpec, EncoderKind, GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator

GENERATOR_SPECS = [
    GENERATOR,
    GeneratorSpec(resolution=128, style_dim=8, z_dim=4, channel_multiplier=0.25, channel_max=32, mapping_layers=3),
    GeneratorSpec(resolution=16, style_dim=8, channel_max=8),
]


@pytest.mark.parametrize("spec", GENERATOR_SPECS, ids=lambda spec: f"{spec.resolution}px")
def test_a_generator_there_and_back(spec: GeneratorSpec) -> None:
    state = Generator(spec).state_dict()
    state["latent_avg"] = torch.randn(spec.style_dim)
    published, average = publish_generator(spec, state)
    found, back = convert_generator(published, average)
    assert (found.resolution, found.channels, found.style_dim) == (spec.resolution, spec.channels, spec.style_dim)
    assert (found.z_dim, found.mapping_layers) == (spec.z_dim, spec.mapping_layers)
    assert set(back) == set(state)
    assert all(torch.equal(back[key], value) for key, value in state.items())


@pytest.mark.parametrize("kind", ["psp", "e4e", "psp_w", "psp_wplus"])
def test_an_encoder_there_and_back(kind: EncoderKind) -> None:
    published = encoder_state(kind)
    spec, ours = convert_encoder(published, kind, GENERATOR)
    assert spec == spec_of(kind)
    assert not ours.pop("latent_avg").any()  # published elsewhere in the file
    again = publish(ours, encoder_rows(spec, GENERATOR.n_styles))
    assert set(again) == set(published)
    assert all(torch.equal(again[key], value) for key, value in published.items())


def test_a_discriminator_there_and_back() -> None:
    spec = DiscriminatorSpec(resolution=32, channel_multiplier=0.02, channel_max=16)
    state = Discriminator(spec).state_dict()
    found, back = convert_discriminator(publish(state, *discriminator_rows(spec)))
    assert found.channels == spec.channels
    assert all(torch.equal(back[key], value) for key, value in state.items())


def test_the_recognisers_rows_name_each_tensor_once() -> None:
    with torch.device("meta"):
        state = FaceRecogniser().state_dict()
    rows = recogniser_rows()
    assert {row.ours for row in rows} == set(state)
    assert len({row.theirs for row in rows}) == len(rows)


def test_missing_and_surplus_tensors_are_named() -> None:
    state = generator_state()
    del state["conv1.noise.weight"], state["to_rgb1.bias"]
    state["extra.weight"] = torch.ones(1)
    with pytest.raises(IntegrityError) as caught:
        rename(state, *generator_rows(GENERATOR), what="the generator")
    wanted = "lacks 2 tensors (conv1.noise.weight, to_rgb1.bias) and has 1 tensor (extra.weight) too many"
    assert wanted in caught.value.message


@pytest.mark.parametrize("kernel", [torch.ones(4, 4) / 4, torch.ones(2, 2)])
def test_another_blur_kernel_is_refused(kernel: torch.Tensor) -> None:
    state = generator_state()
    state["convs.0.conv.blur.kernel"] = kernel
    with pytest.raises(IntegrityError, match=r"convs\.0\.conv\.blur\.kernel is another filter"):
        convert_generator(state, torch.zeros(16))


def test_a_tensor_of_another_shape_is_named() -> None:
    state = generator_state()
    state["noises.noise_2"] = torch.ones(1, 1, 3, 3)
    with pytest.raises(IntegrityError, match=r"noise_2: \(1, 1, 3, 3\) instead of \(1, 1, 8, 8\)"):
        convert_generator(state, torch.zeros(16))


def test_the_step_counters_of_old_files_may_be_absent() -> None:
    state = {key: value for key, value in encoder_state().items() if not key.endswith("num_batches_tracked")}
    _, ours = convert_encoder(state, "psp", GENERATOR)
    assert ours["trunk.input_layer.1.num_batches_tracked"].item() == 0


def test_an_absent_average_is_computed_and_said_so() -> None:
    events: list[Event] = []
    _, first = convert_generator(generator_state(), None, events.append)
    _, second = convert_generator(generator_state(), None)
    assert torch.equal(first["latent_avg"], second["latent_avg"])
    assert first["latent_avg"].abs().sum() > 0
    assert isinstance(events[0], Notice)
    assert "10,000 draws" in events[0].message
    state = Generator(GENERATOR)
    state.load_state_dict(first)
    with torch.no_grad():
        sample = state.mapping(torch.randn(20_000, 16, generator=torch.Generator().manual_seed(9)))
    error = (sample.mean(0) - first["latent_avg"]) / sample.std(0) * 10_000**0.5
    assert error.abs().max() < 6  # both means are within a few standard errors


def test_weights_in_half_precision_become_single() -> None:
    state = {key: value.half() if "kernel" not in key else value for key, value in generator_state().items()}
    _, ours = convert_generator(state, torch.zeros(16))
    assert {tensor.dtype for tensor in ours.values()} == {torch.float32}
