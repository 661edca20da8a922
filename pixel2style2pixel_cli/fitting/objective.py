"""How far a drawn picture is from its target: perceptual and pixel terms, inside a mask, each picture by itself.

Image2StyleGAN, equation 1: w* = argmin L_percept(G(w), I) + lambda_mse / N ||G(w) - I||^2. The perceptual term looks
through LPIPS where the network is installed, else through the bundled features. Shape suffixes: B batch, C channels,
H W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.errors import MissingError
from pixel2style2pixel_cli.fitting.features import LARGEST_SIDE, LEAST_SIDE, FixedFeatures, load_features
from pixel2style2pixel_cli.losses.perceptual import PerceptualLoss, Trunk, load_perceptual
from pixel2style2pixel_cli.losses.pixel import pyramid_l1_each
from pixel2style2pixel_cli.zoo.auxiliary import ALEXNET, VGG16, networks

Perceptual = Literal["auto", "bundled", "lpips", "features", "none"]
PixelTerm = Literal["pyramid", "mse"]

# How much pixels count beside a perceptual term: the paper's 1 for the squared error, and for the pyramid what keeps
# colours and layout where the features leave them open.
PIXEL_WEIGHTS: dict[PixelTerm, float] = {"mse": 1.0, "pyramid": 4.0}

# The networks of LPIPS by their files, the one that the paper looks through first.
TRUNKS: tuple[tuple[str, Trunk], ...] = ((VGG16, "vgg"), (ALEXNET, "alex"))


class Judge(Protocol):
    """What sees pictures as people do, or nearly; ``name`` is what messages call it."""

    @property
    def name(self) -> str: ...

    def wanted(self, target_BCHW: Tensor) -> Sequence[Tensor]:
        """What is remembered of the targets."""
        ...

    def distances(self, image_BCHW: Tensor, wanted: Sequence[Tensor]) -> Tensor:
        """Distance (B,) of each picture from its target."""
        ...


class FeatureJudge:
    """The maps of EfficientNet-Lite0, of the whole and of the inner face."""

    name = "the bundled features"

    def __init__(self, features: FixedFeatures) -> None:
        self.features = features

    def wanted(self, target_BCHW: Tensor) -> Sequence[Tensor]:
        """The maps of the targets."""
        return self.features.maps(target_BCHW)

    def distances(self, image_BCHW: Tensor, wanted: Sequence[Tensor]) -> Tensor:
        """As the protocol says."""
        return self.features.distances(image_BCHW, wanted)


class LpipsJudge:
    """LPIPS, at 256 px at most as the paper feeds its network."""

    def __init__(self, loss: PerceptualLoss, name: str) -> None:
        self.loss, self.name = loss, name

    def wanted(self, target_BCHW: Tensor) -> Sequence[Tensor]:
        """The targets themselves."""
        return [reduced(target_BCHW, LARGEST_SIDE)]

    def distances(self, image_BCHW: Tensor, wanted: Sequence[Tensor]) -> Tensor:
        """As the protocol says."""
        found: Tensor = self.loss.network(reduced(image_BCHW, LARGEST_SIDE), wanted[0])
        return found.flatten()


def load_judge(kind: Perceptual, like: Tensor, side: int) -> Judge | None:
    """The perceptual term for pictures of a side, on the device and in the type of a tensor; None for none.

    ``auto``: LPIPS on VGG16, or on AlexNet, where its file is installed, else the bundled features; under 64 px, where
    no network sees anything worth the name, none; ``bundled``: the same without LPIPS. Raises MissingError where LPIPS
    was asked for and is not installed.
    """
    if kind == "none" or (kind in ("auto", "bundled") and side < LEAST_SIDE):
        return None
    if kind not in ("bundled", "features"):
        try:
            return _load_lpips(like)
        except MissingError:
            if kind == "lpips":
                raise
    return FeatureJudge(load_features(like))


def _load_lpips(like: Tensor) -> LpipsJudge:
    known = networks()
    name, trunk = next(((name, trunk) for name, trunk in TRUNKS if known[name].path.is_file()), TRUNKS[-1])
    path = known[name].require("LPIPS", "use --perceptual features")
    try:
        loss = load_perceptual(path, trunk)
    except MissingError as error:  # whose hint is for training
        raise MissingError(error.message, "use --perceptual features") from error
    return LpipsJudge(loss.to(device=like.device, dtype=like.dtype), f"LPIPS on {name.removeprefix('lpips-')}")


class Objective:
    """The loss (B,) of drawn pictures against targets (B, 3, S, S) in [-1, 1].

    Drawn pictures that are larger are reduced to the targets' side. ``kept_B1HW`` holds 1 where the target is to be
    met and 0 where it is not known: there the drawn picture is shown the target's own pixels, so that no term, however
    far it looks, pulls at anything.
    """

    def __init__(
        self,
        target_BCHW: Tensor,
        *,
        judge: Judge | None = None,
        pixels: PixelTerm = "pyramid",
        kept_B1HW: Tensor | None = None,
    ) -> None:
        self.target, self.judge, self.pixels, self.kept = target_BCHW, judge, pixels, kept_B1HW
        with torch.no_grad():
            self.wanted = [] if judge is None else judge.wanted(target_BCHW)
        # A mask hides part of every mean: what is left counts as much as a whole picture would.
        self.share = None if kept_B1HW is None else kept_B1HW.mean(dim=(1, 2, 3)).clamp_min(1e-3)

    @property
    def name(self) -> str:
        """What is compared, in words."""
        pixels = "a pyramid of pixels" if self.pixels == "pyramid" else "squared error of pixels"
        return pixels if self.judge is None else f"{self.judge.name} and {pixels}"

    def __call__(self, image_BCHW: Tensor) -> Tensor:
        """Loss (B,) of each picture."""
        image_BCHW = reduced(image_BCHW, self.target.shape[-1])
        if self.kept is not None:
            image_BCHW = self.kept * image_BCHW + (1 - self.kept) * self.target
        weight = PIXEL_WEIGHTS[self.pixels]
        if self.pixels == "pyramid":
            loss_B = weight * pyramid_l1_each(image_BCHW, self.target, levels_for(self.target.shape[-1]))
        else:
            loss_B = weight * (image_BCHW - self.target).square().mean(dim=(1, 2, 3))
        if self.judge is not None:
            loss_B = loss_B + self.judge.distances(image_BCHW, self.wanted)
        return loss_B if self.share is None else loss_B / self.share


def levels_for(side: int) -> int:
    """Halvings of a pyramid: five, fewer where a picture is too small."""
    return min(5, side.bit_length())


def reduced(image_BCHW: Tensor, side: int) -> Tensor:
    """Pictures of at most this side, larger ones averaged over areas."""
    return image_BCHW if image_BCHW.shape[-1] <= side else F.interpolate(image_BCHW, size=(side, side), mode="area")
