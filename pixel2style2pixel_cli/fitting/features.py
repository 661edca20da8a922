"""What the optimisation of codes looks through: the first four maps of EfficientNet-Lite0, which come with the package.

The weights are those that were published, in half precision, their batch norms folded (Apache-2.0; the licence lies
beside the file). Shape suffixes: B batch, C channels, H W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

import torch
import torch.nn.functional as F
from safetensors.torch import load
from torch import Tensor

from pixel2style2pixel_cli.losses.features import inner_face
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk

FILE = "lite0-features.safetensors"
SPEC = LiteSpec(maps=4)

# Pictures are reduced to this side first: features of larger ones cost more and say no more about a face.
LARGEST_SIDE = 256
# Smaller pictures have no features worth the name.
LEAST_SIDE = 64


class FixedFeatures:
    """Distance of pictures in the trunk's maps, of the whole and of the inner face, each picture by itself.

    Every channel is divided by its mean magnitude in faces, a number of the file: what a picture's distance is does not
    depend on the pictures beside it.
    """

    def __init__(self, trunk: LiteTrunk, magnitudes: Sequence[Tensor]) -> None:
        self.trunk = trunk
        self.units = [magnitude.reciprocal() for magnitude in magnitudes]

    def maps(self, image_BCHW: Tensor) -> list[Tensor]:
        """Maps (2 B, C, h, w) of the whole pictures, then of their inner faces."""
        size = image_BCHW.shape[-1]
        if size > LARGEST_SIDE:
            image_BCHW = F.interpolate(image_BCHW, size=(LARGEST_SIDE, LARGEST_SIDE), mode="area")
        # One pass for both views: twice as large kernels, and on a CPU those that a single picture does not get.
        views = torch.cat([image_BCHW, inner_face(image_BCHW)])
        if views.device.type in ("cpu", "cuda"):
            views = views.contiguous(memory_format=torch.channels_last)
        return list(self.trunk(views))

    def distances(self, image_BCHW: Tensor, wanted: Sequence[Tensor]) -> Tensor:
        """The distance (B,) of each picture from the maps of its target.

        The mean absolute difference in units of the magnitudes, summed over both views and averaged over depths.
        """
        total_B = image_BCHW.new_zeros(len(image_BCHW))
        for x, y, unit_C in zip(self.maps(image_BCHW), wanted, self.units, strict=True):
            # Units are positive, so they wait until there is one number a channel left to multiply.
            per_channel = (x - y).abs().mean(dim=(2, 3))
            total_B = total_B + (per_channel @ unit_C / len(unit_C)).view(2, -1).sum(dim=0)
        return total_B / len(self.units)


def load_features(like: Tensor) -> FixedFeatures:
    """The bundled trunk, on the device and in the type of a tensor."""
    content = (resources.files("pixel2style2pixel_cli.fitting") / FILE).read_bytes()
    state = load(content)
    magnitudes = [state.pop(f"magnitude_{i}").to(like) for i in range(SPEC.maps)]
    trunk = LiteTrunk(SPEC)
    trunk.load_state_dict({key: value.float() for key, value in state.items()}, strict=True)
    trunk = trunk.to(device=like.device, dtype=like.dtype).to(memory_format=torch.channels_last)
    return FixedFeatures(trunk.eval().requires_grad_(False), magnitudes)
