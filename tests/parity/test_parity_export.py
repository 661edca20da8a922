"""Published checkpoints to our networks and back: the same names and, to the bit, the same numbers."""

from __future__ import annotations

import pytest
import torch
from golden_numbers import Shapes, average, encoder_layout, filled, generator_layout, layout, restyle_layout
from test_parity_psp import published

from pixel2style2pixel_cli.convert.layout import convert_checkpoint
from pixel2style2pixel_cli.convert.publish import published_generator, published_model, same_tensors
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.networks.specs import EncoderSpec

CASES = {
    "GradualStyleEncoder": lambda: encoder_layout(14),
    "Encoder4Editing": lambda: encoder_layout(14),
    "BackboneEncoderUsingLastLayerIntoW": lambda: layout("psp_into_w", "encoder."),
    "BackboneEncoderUsingLastLayerIntoWPlus": lambda: layout("psp_into_wplus", "encoder."),
    "BackboneEncoder": lambda: restyle_layout(14),
    "ResNetBackboneEncoder": lambda: restyle_layout(14, resnet=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_published_model_goes_round(name: str) -> None:
    shapes: Shapes = CASES[name]()
    resolution = 1024 if name.endswith("IntoWPlus") else 256
    rows = 18 if resolution == 1024 else 14
    given = published(shapes, resolution, name, (rows, 512))
    read = convert_checkpoint(given)
    assert read.encoder_spec is not None and read.encoder is not None
    written = published_model(read.encoder_spec, read.encoder, read.generator_spec, read.generator)
    wanted, found = given["state_dict"], written["state_dict"]
    assert isinstance(wanted, dict) and isinstance(found, dict) and isinstance(written["opts"], dict)
    # the oldest layout counts no batches; the counters that are written then are zeros
    counters = {key for key in found.keys() - wanted.keys() if key.endswith("num_batches_tracked")}
    assert found.keys() - counters == wanted.keys()
    assert same_tensors(
        {key: found[key] for key in wanted}, {key: value.to(found[key].dtype) for key, value in wanted.items()}
    )
    assert written["opts"]["encoder_type"] == name and written["opts"]["start_from_latent_avg"] is True
    assert torch.equal(written["latent_avg"], given["latent_avg"])  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("resolution", [32, 256])
def test_a_published_generator_goes_round(resolution: int) -> None:
    given = {"g_ema": filled(generator_layout(resolution), "g", "golden"), "latent_avg": average((512,))}
    read = convert_checkpoint(given)
    written = published_generator(read.generator_spec, read.generator)
    assert same_tensors(written["g_ema"], given["g_ema"])  # type: ignore[arg-type]
    assert torch.equal(written["latent_avg"], given["latent_avg"])  # type: ignore[arg-type]


@pytest.mark.parametrize(("spec", "message"), [
    (EncoderSpec(kind="lite", units=(3, 2, 6, 5), widths=(24, 40, 112, 320)), "no published layout"),
    (EncoderSpec(kind="e4e", stage=3), "at stage 3"),
])  # fmt: skip
def test_what_the_layout_cannot_say_is_refused(spec: EncoderSpec, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        published_model(
            spec,
            {},
            convert_checkpoint(
                {"g_ema": filled(generator_layout(32), "g", "golden"), "latent_avg": average((512,))}
            ).generator_spec,
            {},
        )
