"""The losses that compare drawn pictures with their targets: one function each, named by the weights of a preset.

Shape suffixes: B batch, H W height and width, R side of the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.losses import pixel
from pixel2style2pixel_cli.losses.features import alone, feature_distance, inner_face, whole
from pixel2style2pixel_cli.losses.identity import crop_face

# The published losses look at 256 px at most (methods.md 4.3).
LARGEST_SEEN = 256


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Compared:
    """What a loss may look at.

    ``drawn`` and ``target`` are (B, 3, R, R) in [-1, 1]. ``emphasis`` (B, 1, R, R) is how much more each pixel counts,
    where anything does. ``networks`` are those that losses look through, by name; ``autocast`` is the precision that
    they run in; ``mean`` averages over the processes that share a batch.
    """

    drawn: Tensor
    target: Tensor
    emphasis: Tensor | None
    networks: Mapping[str, nn.Module]
    autocast: Callable[[], AbstractContextManager[object]]
    mean: Callable[[Tensor], Tensor] = alone


def l2(seen: Compared) -> Tensor:
    """Mean squared error (pSp, eq. 2)."""
    return pixel.mse(seen.drawn, seen.target)


def pyramid(seen: Compared) -> Tensor:
    """Absolute error at several sizes."""
    return pixel.pyramid_l1(seen.drawn, seen.target, weight_B1HW=seen.emphasis)


def gradient(seen: Compared) -> Tensor:
    """Absolute error of the differences between neighbouring pixels."""
    return pixel.gradient_l1(seen.drawn, seen.target, seen.emphasis)


def lpips(seen: Compared) -> Tensor:
    """Distance in the features of AlexNet (pSp, eq. 3)."""
    loss: Tensor = seen.networks["perceptual"](_pooled(seen.drawn), _pooled(seen.target))
    return loss


def identity(seen: Compared) -> Tensor:
    """One minus the similarity of the faces to a recogniser (pSp, eq. 5)."""
    loss: Tensor = seen.networks["identity"](_pooled(seen.drawn), _pooled(seen.target))
    return loss


def l2_crop(seen: Compared) -> Tensor:
    """Mean squared error inside the box around the face, which the published frontalisation adds."""
    return pixel.mse(crop_face(seen.drawn), crop_face(seen.target))


def lpips_crop(seen: Compared) -> Tensor:
    """Distance in the features of AlexNet inside the same box."""
    loss: Tensor = seen.networks["perceptual"](crop_face(_pooled(seen.drawn)), crop_face(_pooled(seen.target)))
    return loss


def moco(seen: Compared) -> Tensor:
    """One minus the similarity to a ResNet-50 trained without labels: what ``identity`` is for other than faces."""
    loss: Tensor = seen.networks["moco"](_pooled(seen.drawn), _pooled(seen.target))
    return loss


def features(seen: Compared) -> Tensor:
    """Distance in the maps of EfficientNet-Lite0."""
    return _in_trunk(seen, whole)


def face(seen: Compared) -> Tensor:
    """The same, of the inner face alone."""
    return _in_trunk(seen, inner_face)


def _in_trunk(seen: Compared, view: Callable[[Tensor], Tensor]) -> Tensor:
    trunk = seen.networks["trunk"]
    with torch.no_grad(), seen.autocast():
        wanted = trunk(view(seen.target))
    with seen.autocast():
        found = trunk(view(seen.drawn))
    return feature_distance(found, wanted, seen.mean).mean()


def _pooled(image_BCHW: Tensor) -> Tensor:
    if image_BCHW.shape[-1] <= LARGEST_SEEN:
        return image_BCHW
    return F.adaptive_avg_pool2d(image_BCHW, LARGEST_SEEN)
