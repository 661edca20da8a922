"""Single layers and the resampling function against the golden numbers."""

from __future__ import annotations

import pytest
import torch
from golden_numbers import draw, filled, golden, loaded
from torch import Tensor, nn

from pixel2style2pixel_cli.convert.irse import _unit_rows
from pixel2style2pixel_cli.networks.discriminator import ResidualBlock
from pixel2style2pixel_cli.networks.irse import IRUnit
from pixel2style2pixel_cli.networks.layers import (
    BiasActivation,
    ConvActivation,
    EqualLinear,
    ModulatedConv2d,
    Resample,
    ToRGB,
    pixel_norm,
    upfirdn2d,
)
from pixel2style2pixel_cli.networks.psp import MapToStyle

NUMBERS = golden("layers")


def fill_layer(
    module: nn.Module, names: dict[str, str], family: str, salt: str, shapes: dict[str, tuple[int, ...]]
) -> None:
    """Put golden values into a layer: ``names`` maps published to our names, ``shapes`` are the published ones."""
    own = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    published = {theirs: shapes.get(theirs, own[ours]) for theirs, ours in names.items()}
    values = filled(published, family, f"golden.{salt}")
    loaded(module, {ours: values[theirs].reshape(own[ours]) for theirs, ours in names.items()})


MODULATED = {"weight": "weight", "modulation.weight": "to_style.weight", "modulation.bias": "to_style.bias"}


@pytest.mark.parametrize(
    ("tag", "kernel", "demodulate", "up", "down"),
    [
        ("plain3", 3, True, False, False),
        ("plain1_nodemod", 1, False, False, False),
        ("up3", 3, True, True, False),
        ("down3", 3, True, False, True),
    ],
)
@torch.no_grad()
def test_modulated_convolution(tag: str, kernel: int, demodulate: bool, up: bool, down: bool) -> None:
    layer = ModulatedConv2d(8, 6, kernel, 16, demodulate=demodulate, up=up, down=down)
    fill_layer(layer, MODULATED, "g", tag, {"weight": (1, 6, 8, kernel, kernel)})
    NUMBERS.check(f"modconv_{tag}", layer(draw("x", (3, 8, 9, 9)), draw("style", (3, 16))))


@pytest.mark.parametrize(
    ("tag", "layer"),
    [
        ("upsample", Resample(up=2, pad=(2, 1), gain=4.0)),
        ("downsample", Resample(down=2, pad=(1, 1))),
        ("blur_up_pad11_f2", Resample(pad=(1, 1), gain=4.0)),
        ("blur_pad22", Resample(pad=(2, 2))),
    ],
)
def test_resampling(tag: str, layer: Resample) -> None:
    NUMBERS.check(tag, layer(draw("x", (3, 8, 9, 9))))
    NUMBERS.check(f"{tag}.kernel", torch.outer(layer.taps, layer.taps))


@torch.no_grad()
def test_linear_layers_and_activation() -> None:
    style = draw("style", (3, 16))
    NUMBERS.check("pixelnorm", pixel_norm(style))
    plain = {"weight": "weight", "bias": "bias"}
    active = EqualLinear(16, 12, lr_multiplier=0.01, activate=True)
    fill_layer(active, plain, "g", "lin_act", {})
    NUMBERS.check("equal_linear_act", active(style))
    passive = EqualLinear(16, 12, bias=1.0)
    fill_layer(passive, plain, "g", "lin", {})
    NUMBERS.check("equal_linear", passive(style))
    activation = loaded(BiasActivation(8), {"bias": draw("bias", (8,))})
    NUMBERS.check("fused_leaky_relu_4d", activation(draw("x", (3, 8, 9, 9))))
    NUMBERS.check("fused_leaky_relu_2d", activation(style[:, :8]))


@torch.no_grad()
def test_discriminator_layers() -> None:
    layer = ConvActivation(8, 6, 3, down=True)
    fill_layer(layer, {"1.weight": "conv.weight", "2.bias": "activate.bias"}, "d", "convlayer", {})
    NUMBERS.check("conv_layer_down", layer(draw("x", (3, 8, 9, 9))))
    block = ResidualBlock(8, 6)
    names = {
        "conv1.0.weight": "conv_first.conv.weight",
        "conv1.1.bias": "conv_first.activate.bias",
        "conv2.1.weight": "conv_down.conv.weight",
        "conv2.2.bias": "conv_down.activate.bias",
        "skip.1.weight": "shortcut.weight",
    }
    fill_layer(block, names, "d", "resblock", {})
    NUMBERS.check("res_block", block(draw("x8", (2, 8, 8, 8))))


@torch.no_grad()
def test_to_rgb() -> None:
    layer = ToRGB(8, 16)
    names = {f"conv.{theirs}": f"conv.{ours}" for theirs, ours in MODULATED.items()} | {"bias": "bias"}
    # The layer stood alone when the numbers were made, so its filter has no "to_rgb" in its name.
    fill_layer(layer, names, "g", "torgb", {"conv.weight": (1, 3, 8, 1, 1), "bias": (1, 3, 1, 1)})
    NUMBERS.check("to_rgb", layer(draw("x8", (2, 8, 8, 8)), draw("style", (3, 16))[:2], draw("skip", (2, 3, 4, 4))))


@torch.no_grad()
def test_map_to_style() -> None:
    block = MapToStyle(16, 12, 12, 8)
    fill_layer(block, {key: key for key in block.state_dict()}, "e", "gsb", {})
    NUMBERS.check("gradual_style_block_c16_o12_s8", block(draw("x16", (2, 16, 8, 8))))


@pytest.mark.parametrize(
    ("tag", "widths", "stride"), [("same", (16, 16), 1), ("down", (16, 32), 2), ("same_stride2", (32, 32), 2)]
)
@torch.no_grad()
def test_residual_unit(tag: str, widths: tuple[int, int], stride: int) -> None:
    unit = IRUnit(*widths, stride)
    rows = _unit_rows("x", "x", projected=widths[0] != widths[1])
    names = {row.theirs.removeprefix("x."): row.ours.removeprefix("x.") for row in rows}
    fill_layer(unit, names, "e", f"ir_{tag}", {})
    NUMBERS.check(f"bottleneck_ir_se_{tag}", unit(draw(f"b{widths[0]}", (2, widths[0], 10, 10))))


def cases() -> list[list[int]]:
    rows: list[list[int]] = golden("upfirdn2d").arrays["cases"].tolist()
    return rows


@pytest.mark.parametrize("index", range(14))
def test_upfirdn2d(index: int) -> None:
    up_x, up_y, down_x, down_y, left, right, top, bottom, k_h, k_w, n, c, h, w = cases()[index]
    x: Tensor = draw(f"x{index}", (n, c, h, w))
    kernel = draw(f"k{index}", (k_h, k_w))
    ours = upfirdn2d(x, kernel, up=(up_x, up_y), down=(down_x, down_y), pad=(left, right, top, bottom))
    golden("upfirdn2d").check(f"out{index}", ours)
