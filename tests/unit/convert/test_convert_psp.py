"""The container of pSp, e4e and ReStyle: told apart by options, average latents in every form."""

from __future__ import annotations

import pytest
import torch
from tiny_checkpoints import ENCODER, GENERATOR, generator_state, psp_checkpoint, spec_of

from pixel2style2pixel_cli.convert.layout import convert_checkpoint, detect_layout
from pixel2style2pixel_cli.convert.psp import convert_psp
from pixel2style2pixel_cli.errors import IntegrityError
from pixel2style2pixel_cli.events import Event
from pixel2style2pixel_cli.networks.specs import EncoderKind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("GradualStyleEncoder", "psp"),
        ("Encoder4Editing", "e4e"),
        ("BackboneEncoderUsingLastLayerIntoW", "psp_w"),
        ("SingleStyleCodeEncoder", "psp_w"),
        ("BackboneEncoderUsingLastLayerIntoWPlus", "psp_wplus"),
    ],
)
def test_the_options_decide(name: str, kind: EncoderKind) -> None:
    converted = convert_psp(psp_checkpoint(name, kind=kind, average=torch.zeros(8, 16)))
    assert converted.encoder_spec is not None
    assert converted.encoder_spec.kind == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("BackboneEncoder", "restyle"),
        ("ProgressiveBackboneEncoder", "restyle_e4e"),
        ("ResNetBackboneEncoder", "restyle_resnet"),
        ("ResNetProgressiveBackboneEncoder", "restyle_resnet_e4e"),
        ("GradualStyleEncoder", "psp"),
    ],
)
def test_restyle_reads_two_pictures_and_loads_strictly(name: str, kind: EncoderKind) -> None:
    checkpoint = psp_checkpoint(name, kind=kind, channels=6, average=torch.zeros(8, 16))
    converted = convert_psp(checkpoint)
    assert converted.encoder_spec is not None and converted.encoder is not None
    assert converted.encoder_spec == spec_of(kind, 6) and converted.encoder_spec.residual
    state = checkpoint["state_dict"]
    assert isinstance(state, dict)
    first = next(key for key in state if key.endswith(".bias") and key.startswith("encoder.styles.7."))
    kept = {key: value for key, value in state.items() if key != first}
    with pytest.raises(IntegrityError, match=r"lacks 1 tensor \(styles\.7"):
        convert_psp({**checkpoint, "state_dict": kept})


def test_the_same_tensors_are_psp_or_e4e_and_nothing_but_the_options_says_so() -> None:
    psp, e4e = (psp_checkpoint(name, average=torch.zeros(8, 16)) for name in ("GradualStyleEncoder", "Encoder4Editing"))
    first, second = convert_psp(psp), convert_psp(e4e)
    assert first.encoder is not None
    assert second.encoder is not None
    assert all(torch.equal(value, second.encoder[key]) for key, value in first.encoder.items())
    assert first.encoder_spec != second.encoder_spec


@pytest.mark.parametrize(
    ("name", "part"),
    [(None, "pSp's or e4e's"), ("ResNetGradualStyleEncoder", "is .ResNetGradualStyleEncoder.,")],
)
def test_an_unnamed_or_unknown_encoder_is_refused(name: str | None, part: str) -> None:
    with pytest.raises(IntegrityError, match=part):
        convert_psp(psp_checkpoint(name))


def test_options_that_contradict_the_tensors_are_refused() -> None:
    with pytest.raises(IntegrityError, match="the generator draws 32 px"):
        convert_psp(psp_checkpoint(output_size=1024))
    with pytest.raises(IntegrityError, match="has no styles"):
        convert_psp(psp_checkpoint("GradualStyleEncoder", kind="psp_w"))
    with pytest.raises(IntegrityError, match="too many"):
        convert_psp(psp_checkpoint("SingleStyleCodeEncoder"))
    with pytest.raises(IntegrityError, match="expected the training options"):
        convert_psp({**psp_checkpoint(), "opts": None})


ROWS = torch.arange(8 * 16, dtype=torch.float32).reshape(8, 16)


@pytest.mark.parametrize("average", [ROWS, ROWS[:1], ROWS[0]], ids=["8x16", "1x16", "16"])
def test_forms_of_the_average_latent(average: torch.Tensor) -> None:
    converted = convert_psp(psp_checkpoint(average=average))
    assert converted.encoder is not None
    expected = average if average.shape == (8, 16) else average.reshape(1, 16).expand(8, 16)
    assert torch.equal(converted.encoder["latent_avg"], expected)
    assert torch.equal(converted.generator["latent_avg"], expected.mean(dim=0))


def test_an_absent_average_latent_is_computed_or_zero() -> None:
    events: list[Event] = []
    converted = convert_psp(psp_checkpoint(), events.append)
    assert converted.encoder is not None
    assert torch.equal(converted.encoder["latent_avg"], converted.generator["latent_avg"].expand(8, 16))
    assert "10,000 draws" in str(events)
    converted = convert_psp(psp_checkpoint(start_from_latent_avg=False), events.append)
    assert converted.encoder is not None
    assert not converted.encoder["latent_avg"].any()
    assert converted.generator["latent_avg"].any()
    assert "without an average latent" in str(events[-1])


@pytest.mark.parametrize("average", [torch.zeros(18, 16), torch.zeros(8, 512), torch.zeros(512), [0.0] * 16])
def test_an_average_of_another_size_is_refused(average: torch.Tensor) -> None:
    with pytest.raises(IntegrityError, match=r"average latent|latent_avg"):
        convert_psp(psp_checkpoint(average=average))


def test_stray_tensors_and_other_things_are_refused() -> None:
    checkpoint = psp_checkpoint(average=torch.zeros(8, 16))
    state = checkpoint["state_dict"]
    assert isinstance(state, dict)
    with pytest.raises(IntegrityError, match=r"hypernet\.weight"):
        convert_psp({**checkpoint, "state_dict": {**state, "hypernet.weight": torch.ones(1)}})
    with pytest.raises(IntegrityError, match=r"step \(int\)"):
        convert_psp({**checkpoint, "state_dict": {**state, "step": 3}})


@pytest.mark.parametrize("channels", [1, 19])
def test_input_channels_are_read_off(channels: int) -> None:
    converted = convert_psp(psp_checkpoint(channels=channels, average=torch.zeros(16)))
    assert converted.encoder_spec is not None
    assert converted.encoder_spec.input_channels == channels
    assert converted.encoder_spec.units == ENCODER.units


def test_generators_are_recognised_bare_and_wrapped() -> None:
    for checkpoint in ({"g_ema": generator_state(), "latent_avg": torch.ones(16)}, generator_state()):
        converted = convert_checkpoint(checkpoint)
        assert converted.generator_spec == GENERATOR
        assert converted.encoder_spec is None


@pytest.mark.parametrize(
    ("checkpoint", "part"),
    [
        ({"epoch": 1, "model": {}}, "epoch, model"),
        ([1, 2], "list"),
        (torch.ones(3), "Tensor"),
        ({}, "dict"),
        ({"input_layer.0.weight": 1, "output_layer.3.weight": 2}, "face recogniser"),
    ],
)
def test_unknown_layouts_say_what_was_found(checkpoint: object, part: str) -> None:
    with pytest.raises(IntegrityError, match=part):
        convert_checkpoint(checkpoint)


def test_every_layout_is_told_apart() -> None:
    assert detect_layout(psp_checkpoint()) == "psp"
    assert detect_layout({"g_ema": generator_state(), "args": None}) == "rosinality"
    assert detect_layout(generator_state()) == "rosinality-bare"
