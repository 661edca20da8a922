"""Comparing with the golden numbers: published state dicts filled by rule, and the measure of a difference."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import fill
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

DATA = Path(__file__).parent / "data"
SALT = "golden"
FORWARD_LIMIT = 1e-4  # largest difference relative to the standard deviation
GRADIENT_LIMIT = 1e-3  # root mean square of the difference relative to that of the array

M = TypeVar("M", bound=nn.Module)
Shapes = dict[str, tuple[int, ...]]


@dataclass
class Golden:
    """The arrays of one file, and every difference measured against them."""

    name: str
    arrays: dict[str, np.ndarray]
    differences: dict[str, float] = field(default_factory=dict)

    def check(self, key: str, ours: Tensor, *, limit: float = FORWARD_LIMIT) -> None:
        """Compare a whole array, or the kept slice, pooled picture and moments of a large one."""
        found = ours.detach().double().contiguous().numpy()
        if key in self.arrays:
            self._compare(key, found, self.arrays[key], limit)
            return
        assert tuple(self.arrays[f"{key}.shape"]) == found.shape
        stride, moments = int(self.arrays[f"{key}.stride"]), self.arrays[f"{key}.stats"]
        self._compare(f"{key}.slice", found.reshape(-1)[::stride], self.arrays[f"{key}.slice"], limit, scale=moments[1])
        np.testing.assert_allclose([found.mean(), found.std()], moments[:2], atol=limit * moments[1])
        if f"{key}.pool16" in self.arrays:
            pooled = F.adaptive_avg_pool2d(ours.detach().double(), self.arrays[f"{key}.pool16"].shape[2:]).numpy()
            self._compare(f"{key}.pool16", pooled, self.arrays[f"{key}.pool16"], limit, scale=moments[1])

    def check_gradient(self, key: str, ours: Tensor, *, limit: float = GRADIENT_LIMIT) -> None:
        """Compare by root mean square: single elements jump where an activation is near zero."""
        found = ours.detach().double().contiguous().numpy()
        if key not in self.arrays:
            assert tuple(self.arrays[f"{key}.shape"]) == found.shape
            found, key = found.reshape(-1)[:: int(self.arrays[f"{key}.stride"])], f"{key}.slice"
        expected = self.arrays[key].astype(np.float64)
        assert found.shape == expected.shape, key
        ratio = float(np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)))
        self.differences[f"gradient {key}"] = ratio
        assert ratio <= limit, f"{self.name} {key}: relative root mean square {ratio:.2e}"

    def _compare(self, key: str, found: np.ndarray, expected: np.ndarray, limit: float, scale: float = 0.0) -> None:
        assert found.shape == expected.shape, f"{key}: {found.shape} instead of {expected.shape}"
        scale = scale or (float(expected.std()) if expected.size > 1 else float(np.abs(expected).max()))
        ratio = float(np.abs(found - expected).max()) / scale
        self.differences[key] = ratio
        assert ratio <= limit, f"{self.name} {key}: relative difference {ratio:.2e}"


_OPENED: dict[str, Golden] = {}


def golden(name: str) -> Golden:
    """The golden file ``name``; the same object each time, so that the differences add up to one report."""
    if name not in _OPENED:
        with np.load(DATA / f"{name}.npz") as file:
            _OPENED[name] = Golden(name, {key: file[key] for key in file.files})
    return _OPENED[name]


def opened() -> list[Golden]:
    """Every golden file that was used so far."""
    return [*_OPENED.values()]


@functools.cache
def _layout(name: str) -> list[list[Any]]:
    tensors: list[list[Any]] = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["tensors"]
    return tensors


def layout(name: str, prefix: str = "") -> Shapes:
    """Names and shapes of a published component, without ``prefix``."""
    return {key.removeprefix(prefix): tuple(shape) for key, shape, *_ in _layout(name) if key.startswith(prefix)}


def generator_layout(resolution: int) -> Shapes:
    """Names and shapes of a published generator with channel multiplier 2."""
    if resolution > 256:
        return layout("psp_ffhq_encode", "decoder.")
    kept = {}
    for key, shape in layout("psp_256", "decoder.").items():
        parts = key.split(".")
        levels = resolution.bit_length() - 3  # number of upsampling blocks
        limits = {"convs": 2 * levels, "to_rgbs": levels, "noises": 2 * levels + 1}
        index = int(parts[1].removeprefix("noise_")) if parts[0] in limits else 0
        if index < limits.get(parts[0], 1):
            kept[key] = shape
    return kept


def encoder_layout(n_styles: int, channels: int = 3) -> Shapes:
    """Names and shapes of the published pyramid encoder, which pSp and e4e share."""
    kept = {}
    for key, shape in layout("psp_ffhq_encode", "encoder.").items():
        if key.startswith("styles.") and int(key.split(".")[1]) >= n_styles:
            continue
        kept[key] = (shape[0], channels, *shape[2:]) if key == "input_layer.0.weight" else shape
    return kept


def restyle_layout(n_styles: int, *, resnet: bool = False) -> Shapes:
    """Names and shapes of a published ReStyle encoder for so many rows: at most 18, on ResNet34 at most 16."""
    name = "restyle_psp_resnet_backbone" if resnet else "restyle_psp_backbone"
    shapes = layout(name, "encoder.")
    return {
        key: shape
        for key, shape in shapes.items()
        if not key.startswith("styles.") or int(key.split(".")[1]) < n_styles
    }


def discriminator_layout(resolution: int) -> Shapes:
    """Names and shapes of a published discriminator with channel multiplier 2."""
    width = {r: min(512, 32768 // r) for r in (4, 8, 16, 32, 64, 128, 256, 512, 1024)}
    shapes: Shapes = {"convs.0.0.weight": (width[resolution], 3, 1, 1), "convs.0.1.bias": (width[resolution],)}
    side, index = resolution, 0
    while side > 4:
        index, wide, narrow = index + 1, width[side], width[side // 2]
        shapes |= {
            f"convs.{index}.conv1.0.weight": (wide, wide, 3, 3),
            f"convs.{index}.conv1.1.bias": (wide,),
            f"convs.{index}.conv2.0.kernel": (4, 4),
            f"convs.{index}.conv2.1.weight": (narrow, wide, 3, 3),
            f"convs.{index}.conv2.2.bias": (narrow,),
            f"convs.{index}.skip.0.kernel": (4, 4),
            f"convs.{index}.skip.1.weight": (narrow, wide, 1, 1),
        }
        side //= 2
    tail = ("final_conv.0.weight", "final_conv.1.bias", "final_linear.0.weight", "final_linear.0.bias")
    last = layout("stylegan2_ffhq_config_f.d")
    return shapes | {key: last[key] for key in (*tail, "final_linear.1.weight", "final_linear.1.bias")}


def nvidia_layout(resolution: int, channel_base: int, mapping_layers: int) -> Shapes:
    """Names and shapes of NVIDIA's generator."""

    def width(side: int, base: int) -> int:
        return min(512, base // side)

    kept: Shapes = {}
    for key, shape in layout("nvidia_ada_G_ema_1024").items():
        part = key.split(".")[1]
        if part.startswith("fc") and int(part[2:]) >= mapping_layers:
            continue
        side = int(part[1:]) if part.startswith("b") else 4
        if side > resolution:
            continue
        kept[key] = shape
        if side == 4 or "filter" in key or "noise" in key:
            continue
        out, before = width(side, channel_base), width(side // 2, channel_base)
        into = before if ".conv0." in key else out
        if key.endswith("affine.weight"):
            kept[key] = (into, 512)
        elif key.endswith("affine.bias"):
            kept[key] = (into,)
        elif key.endswith("torgb.weight"):
            kept[key] = (3, out, 1, 1)
        elif key.endswith(".weight"):
            kept[key] = (out, into, 3, 3)
        elif key.endswith(".bias") and "torgb" not in key:
            kept[key] = (out,)
    return kept


def filled(shapes: Shapes, family: str, salt: str) -> dict[str, Tensor]:
    """A published state dict with the values of the golden rule."""
    state = {}
    for key, shape in shapes.items():
        value = fill.value(family, key, shape, set(shapes), salt)
        state[key] = published_blur(4.0 if family == "g" else 1.0) if value is None else torch.from_numpy(value)
    return state


def published_blur(gain: float) -> Tensor:
    """The filter as the published networks construct it, shape (4, 4)."""
    taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1])
    return torch.tensor(taps / taps.sum() * gain, dtype=torch.float32)


def draw(key: str, shape: tuple[int, ...], salt: str = SALT) -> Tensor:
    """A standard normal input."""
    return torch.from_numpy(fill.draw(salt, key, shape))


def picture(key: str, shape: tuple[int, ...], *, onehot: bool = False) -> Tensor:
    """A smooth picture in [-1, 1], or a one-hot label map."""
    return torch.from_numpy(fill.image(SALT, key, shape, channels_onehot=onehot))


def average(shape: tuple[int, ...], salt: str = SALT) -> Tensor:
    """The average latent of a golden case."""
    return torch.from_numpy(fill.latent_avg(salt, shape))


def loaded(module: M, state: dict[str, Tensor]) -> M:
    """The module with these tensors, strictly, ready to run."""
    module.load_state_dict(state, strict=True, assign=True)
    return module.eval()
