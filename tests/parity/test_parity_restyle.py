"""Published ReStyle models in passes, from the checkpoint to the pictures, against the golden numbers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from golden_numbers import golden, picture, restyle_layout
from test_parity_psp import converted_model, published

from pixel2style2pixel_cli.engine.passes import encode_in_passes
from pixel2style2pixel_cli.networks.specs import EncoderKind

PASSES = 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tag", "name", "kind"),
    [
        ("psp_backbone", "BackboneEncoder", "restyle"),
        ("psp_resnet", "ResNetBackboneEncoder", "restyle_resnet"),
        ("e4e_backbone", "ProgressiveBackboneEncoder", "restyle_e4e"),
    ],
)
@torch.no_grad()
def test_restyle_gives_the_published_codes_and_pictures_of_every_pass(tag: str, name: str, kind: EncoderKind) -> None:
    numbers, shapes = golden("restyle_forward_256"), restyle_layout(14, resnet=tag == "psp_resnet")
    checkpoint = published(shapes, 256, name, (14, 512), encoder_salt=f"golden.{tag}")
    model = converted_model(checkpoint, kind)
    assert model.encoder.spec.residual
    average = model.encoder.latent_avg
    numbers.check(f"{tag}.average_image", model.generator(average[None])[0])
    image = picture("x", (1, 3, 256, 256))
    found = [
        encode_in_passes(model.encoder, model.generator, average, image, passes) for passes in range(1, PASSES + 1)
    ]
    numbers.check(f"{tag}.latents", torch.cat(found))
    for number, codes in enumerate(found):
        numbers.check(f"{tag}.image_iter{number}", model.generator(codes))
    assert float(F.mse_loss(found[1], found[0])) > 0
