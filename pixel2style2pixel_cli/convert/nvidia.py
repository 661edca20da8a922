"""NVIDIA's StyleGAN2-ADA generator: its names into those of the PyTorch port, from where the common road goes on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from pixel2style2pixel_cli.convert.names import check_blur
from pixel2style2pixel_cli.errors import IntegrityError
from pixel2style2pixel_cli.weights.read import some_names

BLUR_SUFFIX = "resample_filter"
IGNORED = {"mapping.w_avg_beta"}


def looks_like_nvidia(state: Mapping[str, object]) -> bool:
    """Whether the names are those of an NVIDIA generator."""
    return "synthesis.b4.const" in state and "mapping.fc0.weight" in state


def nvidia_to_rosinality(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
    """The generator under the port's names, blur kernels included, and its average latent (style_dim,).

    Every tensor must be known: a class-conditional network is refused.
    """
    if any(key.startswith("mapping.embed.") for key in state):
        raise IntegrityError(
            "this generator is conditioned on class labels", "only unconditional generators can be converted"
        )
    converted: dict[str, Tensor] = {}
    unknown: list[str] = []
    for key, tensor in state.items():
        name = rosinality_name(key)
        if key.endswith(BLUR_SUFFIX):
            check_blur(key, tensor, 1.0)  # NVIDIA multiplies by the gain when it filters, the port when it stores
            if name is not None:
                converted[name] = tensor * 4.0
        elif name is not None:
            converted[name] = _reshaped(key, tensor)
        elif key != "mapping.w_avg" and key not in IGNORED:
            unknown.append(key)
    if unknown or "mapping.w_avg" not in state:
        found = some_names(unknown, "unknown tensor") if unknown else "no mapping.w_avg"
        raise IntegrityError(
            f"this NVIDIA generator has {found}", "only StyleGAN2 and StyleGAN2-ADA generators can be converted"
        )
    return converted, state["mapping.w_avg"]


def rosinality_name(key: str) -> str | None:
    """The port's name of one tensor; None where it has no place there."""
    if match := re.fullmatch(r"mapping\.fc(\d+)\.(weight|bias)", key):
        return f"style.{int(match[1]) + 1}.{match[2]}"
    if key == "synthesis.b4.const":
        return "input.input"
    if match := re.fullmatch(r"synthesis\.b(\d+)\.torgb\.(weight|bias|affine\.weight|affine\.bias)", key):
        index = _level(match[1])
        return f"{'to_rgb1' if index < 0 else f'to_rgbs.{index}'}.{_leaf(match[2], 'bias')}"
    if match := re.fullmatch(r"synthesis\.b(\d+)\.resample_filter", key):
        return f"to_rgbs.{_level(match[1])}.upsample.kernel" if match[1] != "4" else None
    if match := re.fullmatch(r"synthesis\.b(\d+)\.conv([01])\.(\w+(?:\.\w+)?)", key):
        index = 2 * _level(match[1]) + int(match[2])
        layer = "conv1" if index < 0 else f"convs.{index}"
        if match[3] == "noise_const":
            return f"noises.noise_{index + 1}"
        if match[3] == BLUR_SUFFIX:
            return f"{layer}.conv.blur.kernel" if match[2] == "0" else None
        return f"{layer}.{_leaf(match[3], 'activate.bias')}"
    return None


def _level(resolution: str) -> int:
    """Index of a resolution among those with a skip: 8 is 0, and 4 is -1."""
    return int(resolution).bit_length() - 4


def _leaf(leaf: str, bias: str) -> str:
    """The last part of a layer's name."""
    names = {
        "weight": "conv.weight",
        "affine.weight": "conv.modulation.weight",
        "affine.bias": "conv.modulation.bias",
        "noise_strength": "noise.weight",
        "bias": bias,
    }
    return names.get(leaf, leaf)


def _reshaped(key: str, tensor: Tensor) -> Tensor:
    """The port keeps a leading axis on constants and filters, and four axes on the RGB bias."""
    if key.endswith(("const", ".conv0.weight", ".conv1.weight", ".torgb.weight")):
        return tensor[None, None] if key.endswith("noise_const") else tensor[None]
    if key.endswith("noise_strength"):
        return tensor.reshape(1)
    if key.endswith("torgb.bias"):
        return tensor.reshape(1, 3, 1, 1)
    return tensor
