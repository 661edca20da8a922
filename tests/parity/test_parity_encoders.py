"""The encoders and the face recogniser against the golden numbers, loaded from published names."""

from __future__ import annotations

import pytest
import torch
from golden_numbers import average, draw, encoder_layout, filled, golden, layout, loaded, picture
from torch import nn

from pixel2style2pixel_cli.convert.faceid import convert_recogniser, convert_trunk
from pixel2style2pixel_cli.convert.psp import convert_encoder, encoder_rows
from pixel2style2pixel_cli.losses.identity import IdentityLoss, crop_face
from pixel2style2pixel_cli.losses.w_norm import w_norm
from pixel2style2pixel_cli.networks.e4e import E4EEncoder
from pixel2style2pixel_cli.networks.faceid import FaceRecogniser
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import EncoderKind, EncoderSpec, GeneratorSpec

# Through fifty layers of PReLU, signs near zero flip with the order of summation: against the same gradients in
# float64 the golden ones are off by up to 1.7e-3 (relative root mean square), ours by up to 1.1e-3.
DEEP_GRADIENT_LIMIT = 3e-3


def golden_encoder(
    kind: EncoderKind, shapes: dict[str, tuple[int, ...]], salt: str, resolution: int = 1024
) -> nn.Module:
    generator = GeneratorSpec(resolution=resolution)
    spec, state = convert_encoder(filled(shapes, "e", salt), kind, generator)
    with torch.device("meta"):
        module = build_encoder(spec, generator.n_styles, generator.style_dim)
    return loaded(module, state)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [3, 1, 19])
def test_psp_encoder_gives_the_published_codes(channels: int) -> None:
    numbers, tag = golden("encoder_psp"), f"gradual_nc{channels}"
    encoder = golden_encoder("psp", encoder_layout(18, channels), f"golden.nc{channels}")
    assert sum(p.numel() for p in encoder.parameters()) == 267_136_704 + 576 * (channels - 3)
    image = picture(f"x_nc{channels}", (2 if channels == 3 else 1, channels, 256, 256), onehot=channels == 19)
    with torch.set_grad_enabled(channels == 3):
        codes = encoder(image)
    numbers.check(tag, codes)
    trunk = encoder.get_submodule("trunk")
    with torch.no_grad():
        for body, features in zip((6, 20, 23), trunk(image)[1:], strict=True):
            numbers.check(f"{tag}.body{body}", features)
    if channels != 3:
        return
    cotangent = draw("cotangent", tuple(codes.shape), tag)
    spec = EncoderSpec(input_channels=channels)
    ours = {row.theirs: row.ours for row in encoder_rows(spec, 18)}
    prefix = f"{tag}.grad."
    names = {key.removeprefix(prefix).removesuffix(".slice") for key in numbers.arrays if key.startswith(prefix)} & set(
        ours
    )
    assert len(names) == 8
    parameters = [encoder.get_parameter(ours[name]) for name in names]
    gradients = torch.autograd.grad((codes * cotangent).sum(), parameters)
    for name, gradient in zip(names, gradients, strict=True):
        numbers.check_gradient(prefix + name, gradient, limit=DEEP_GRADIENT_LIMIT)


@pytest.mark.slow
@torch.no_grad()
def test_ablation_encoders_give_the_published_codes() -> None:
    numbers, image = golden("encoder_psp"), picture("x_w", (2, 3, 256, 256))
    into_w = golden_encoder("psp_w", layout("psp_into_w", "encoder."), "golden.w")
    assert sum(p.numel() for p in into_w.parameters()) == 31_212_736
    numbers.check("into_w", into_w(image)[:, 0])
    naive = golden_encoder("psp_wplus", layout("psp_into_wplus", "encoder."), "golden.wp")
    assert sum(p.numel() for p in naive.parameters()) == 48_524_480
    numbers.check("into_wplus", naive(image))


@pytest.mark.slow
@pytest.mark.parametrize(("resolution", "stages"), [(1024, (0, 1, 5, 9, 17, 18)), (256, (5, 13, 18))])
@torch.no_grad()
def test_e4e_encoder_gives_the_published_codes_at_every_stage(resolution: int, stages: tuple[int, ...]) -> None:
    numbers, n_styles = golden(f"encoder_e4e_{resolution}"), GeneratorSpec(resolution=resolution).n_styles
    encoder = golden_encoder("e4e", encoder_layout(n_styles), "golden.e4e", resolution)
    assert isinstance(encoder, E4EEncoder)
    image = picture("x_e4e", (1, 3, 256, 256))
    assert encoder.stage == n_styles - 1  # a published file runs with every offset open
    for stage in stages:
        encoder.stage = stage
        numbers.check(f"stage{stage}", encoder(image))
    single = golden_encoder("psp_w", layout("psp_into_w", "encoder."), "golden.w", resolution)
    numbers.check("single_style_code", single(image).expand(-1, n_styles, -1))


def golden_recogniser() -> FaceRecogniser:
    state = convert_recogniser(filled(layout("model_ir_se50"), "e", "golden.arcface"))
    with torch.device("meta"):
        module = FaceRecogniser()
    return loaded(module, state)


def test_recogniser_and_identity_loss() -> None:
    numbers, recogniser = golden("arcface"), golden_recogniser()
    assert sum(p.numel() for p in recogniser.parameters()) == 43_797_696
    with torch.no_grad():
        numbers.check("embedding", recogniser(picture("x112", (2, 3, 112, 112))))
    loss = IdentityLoss(recogniser)
    y_hat, y, x = (picture(f"id_{name}", (2, 3, 256, 256)) for name in ("y_hat", "y", "x"))
    assert crop_face(y).shape[2:] == (188, 188)
    with torch.no_grad():
        theirs, source = loss.embed(y), loss.embed(x)
        numbers.check("crop_embedding_y", theirs)
        ours = loss.embed(y_hat)
        cosines = torch.stack(
            [(a * b).sum(dim=1) for a, b in ((ours, theirs), (ours, source), (theirs, source))], dim=1
        )
        numbers.check("id_logs", cosines)
    y_hat.requires_grad_()
    value = loss(y_hat, y)
    numbers.check("id_loss", value)
    numbers.check_gradient("id_loss_grad", torch.autograd.grad(value, y_hat)[0])


def test_w_norm() -> None:
    numbers, codes = golden("arcface"), draw("wn", (2, 18, 512))
    numbers.check("w_norm", w_norm(codes - average((18, 512))))
    numbers.check("w_norm_no_avg", w_norm(codes))


def test_trunk_of_a_recogniser_fits_an_encoder() -> None:
    trunk = convert_trunk(filled(layout("model_ir_se50"), "e", "golden.arcface"))
    with torch.device("meta"):
        encoder = build_encoder(EncoderSpec(), 18, 512)
    wanted = {key: tensor.shape for key, tensor in encoder.state_dict().items() if key.startswith("trunk.")}
    assert {key: tensor.shape for key, tensor in trunk.items()} == wanted


@pytest.mark.parametrize(
    ("kind", "n_styles", "size", "count"),
    [
        ("psp", 18, 256, 267_136_704),
        ("psp", 14, 256, 209_450_688),
        ("psp", 12, 256, 180_607_680),
        ("psp", 12, 128, 152_289_984),
        ("e4e", 18, 256, 267_136_704),
        ("psp_w", 18, 256, 31_212_736),
        ("psp_wplus", 18, 256, 48_524_480),
        ("psp_wplus", 12, 256, 46_948_544),
    ],
)
def test_encoder_parameter_counts(kind: EncoderKind, n_styles: int, size: int, count: int) -> None:
    with torch.device("meta"):
        encoder = build_encoder(EncoderSpec(kind=kind, input_size=size), n_styles, 512)
    assert sum(p.numel() for p in encoder.parameters()) == count
