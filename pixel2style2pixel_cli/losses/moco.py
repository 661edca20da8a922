"""The identity loss of pictures that are no faces: similarity to a ResNet-50 that was trained without labels (MoCo v2).

Source: Tov et al. 2021 (e4e), section 4; He et al. 2020. Shape suffixes: B batch, C channels, H W height and width.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import IntegrityError, MissingError, in_one_line

INPUT_SIZE = 224
# What the names of the query encoder begin with in the published checkpoint; its head is not looked through.
PUBLISHED = "module.encoder_q."
HEAD = "fc."


class MocoLoss(nn.Module):
    """One minus the cosine of two features of 2048 numbers; no gradient flows through the target."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk.eval().requires_grad_(False)

    def embed(self, image_BCHW: Tensor) -> Tensor:
        """Features (B, 2048) of unit length of pictures (B, 3, H, W) in [-1, 1]."""
        features: Tensor = self.trunk(F.interpolate(image_BCHW, size=INPUT_SIZE))
        return F.normalize(features.flatten(1), dim=1)

    def forward(self, image_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.embed(target_BCHW)
        return 1 - (self.embed(image_BCHW) * wanted).sum(dim=1).mean()


def build_moco(state: Mapping[str, object], where: object) -> MocoLoss:
    """The loss on a state dict, as the authors of MoCo publish it or with torchvision's names.

    Raises MissingError where torchvision cannot be imported, IntegrityError where the state is another network's.
    """
    try:
        from torchvision.models import resnet50
    except Exception as error:  # one built for another torch fails with whatever it meets first
        raise MissingError(
            f"the package torchvision cannot be imported: {in_one_line(error)}",
            "install torch and torchvision of matching versions, or train without this loss: --set losses.moco=0",
        ) from error
    inner = state.get("state_dict", state)
    if not isinstance(inner, Mapping):
        raise IntegrityError(f"{where} holds no tensors by name", "name another file")
    published = any(str(key).startswith(PUBLISHED) for key in inner)
    named = {str(key).removeprefix(PUBLISHED): value for key, value in inner.items()
             if not published or str(key).startswith(PUBLISHED)}  # fmt: skip
    trunk = resnet50(weights=None)
    trunk.fc = nn.Identity()
    try:
        trunk.load_state_dict({key: value for key, value in named.items() if not key.startswith(HEAD)})
    except (RuntimeError, TypeError) as error:
        raise IntegrityError(
            f"{where} is not a ResNet-50: {in_one_line(error)}", "name the file that MoCo v2 publishes"
        ) from error
    return MocoLoss(trunk)
