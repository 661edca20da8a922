"""LPIPS and Ranger against the golden numbers; identity and w_norm are with the encoders."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import fill
import numpy as np
import pytest
import torch
from golden_numbers import SALT, draw, golden, picture
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import IntegrityError
from pixel2style2pixel_cli.losses import pictures
from pixel2style2pixel_cli.losses.moco import build_moco
from pixel2style2pixel_cli.losses.perceptual import PerceptualLoss, Trunk, load_perceptual
from pixel2style2pixel_cli.losses.pictures import Compared
from pixel2style2pixel_cli.training.ranger import Ranger

ALEXNET = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
VGG16 = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128), 10: (256, 128), 12: (256, 256), 14: (256, 256),
         17: (512, 256), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512)}  # fmt: skip
TRUNKS = {"alex": ALEXNET, "vgg": {index: (*sizes, 3) for index, sizes in VGG16.items()}}


def golden_perceptual(trunk: Trunk, folder: Path) -> PerceptualLoss:
    """LPIPS on a trunk file in torchvision's layout, with the golden weights of trunk and layers."""
    salt = f"{SALT}.{trunk}"
    shapes: dict[str, tuple[int, ...]] = {}
    for index, (out, into, kernel) in TRUNKS[trunk].items():
        shapes |= {f"{index}.weight": (out, into, kernel, kernel), f"{index}.bias": (out,)}
    values = {key: fill.value("e", key, shape, set(shapes), salt) for key, shape in shapes.items()}
    state = {f"features.{key}": torch.from_numpy(value) for key, value in values.items()}
    state["classifier.6.bias"] = torch.zeros(1000)  # a published file holds the whole classifier
    torch.save(state, folder / "trunk.pth")
    loss = load_perceptual(folder / "trunk.pth", trunk)
    lins = loss.network.lins
    assert isinstance(lins, nn.ModuleList)
    for i, lin in enumerate(lins):
        (weight,) = lin.parameters()
        with torch.no_grad():
            weight.copy_(draw(f"lin{i}.model.1.weight", tuple(weight.shape), salt).abs() * 0.5)
    return loss


@pytest.mark.parametrize("trunk", ["alex", pytest.param("vgg", marks=pytest.mark.slow)])
def test_perceptual_distance_and_its_gradient(trunk: Trunk, tmp_path: Path) -> None:
    numbers, loss = golden("lpips"), golden_perceptual(trunk, tmp_path)
    x, y = picture("lp_x", (2, 3, 256, 256)).requires_grad_(), picture("lp_y", (2, 3, 256, 256))
    distance = loss(x, y)
    numbers.check(trunk, distance)
    numbers.check_gradient(f"{trunk}.grad_x", torch.autograd.grad(distance, x)[0])
    with torch.no_grad():
        assert float(loss(y, y)) == 0.0 == float(numbers.arrays[f"{trunk}.same_input"])


def test_similarity_to_moco(tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    numbers, network = golden("moco"), torchvision.models.resnet50(weights=None)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    values = {key: fill.value("e", key, shape, set(shapes), f"{SALT}.moco") for key, shape in shapes.items()}
    state = {key: torch.from_numpy(np.asarray(value)) for key, value in values.items() if value is not None}
    state = {**network.state_dict(), **state}
    published = {f"module.encoder_q.{key}": value for key, value in state.items() if not key.startswith("fc.")}
    published |= {"module.encoder_k.conv1.weight": torch.zeros(1), "module.encoder_q.fc.0.weight": torch.zeros(2)}
    loss = build_moco({"state_dict": published}, "moco.pt")
    drawn, target = (picture(f"moco_{name}", (2, 3, 256, 256)) for name in ("y_hat", "y"))
    with torch.no_grad():
        numbers.check("features_y", loss.embed(target))
        found = loss(drawn, target)
    assert float(found) == pytest.approx(float(numbers.arrays["moco_loss"]), rel=2e-3)
    with pytest.raises(IntegrityError, match="is not a ResNet-50"):
        build_moco({"weight": torch.zeros(1)}, "other.pt")


def test_losses_of_the_inner_face_look_at_its_box_alone() -> None:
    drawn = torch.zeros(1, 3, 256, 256)
    target = torch.ones_like(drawn)
    target[:, :, 35:223, 32:220] = 0.5
    seen = Compared(
        drawn=drawn, target=target, emphasis=None, networks={"perceptual": nn.MSELoss()}, autocast=nullcontext
    )
    assert float(pictures.l2_crop(seen)) == float(pictures.lpips_crop(seen)) == 0.25


SHAPES: dict[str, tuple[int, ...]] = {
    "conv": (4, 3, 3, 3), "linear": (5, 7), "bias": (6,), "cube": (2, 3, 4), "scalar": (),
}  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {"lr": 1e-2},
    "lr1e-4": {"lr": 1e-4},
    "wd": {"lr": 1e-2, "weight_decay": 0.01},
    "gc_conv_only": {"lr": 1e-2, "gc_conv_only": True},
    "no_gc_k3": {
        "lr": 1e-2,
        "k": 3,
        "alpha": 0.8,
    },  # the published use_gc=False changes nothing; ours has no such value
    "adam_like": {"lr": 5e-3, "betas": (0.9, 0.99), "eps": 1e-8},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_ranger_takes_the_published_path(setting: str) -> None:
    numbers = golden("ranger")
    parameters = {key: nn.Parameter(draw(key, shape)) for key, shape in SHAPES.items()}
    targets = {key: draw(f"{key}.target", shape) for key, shape in SHAPES.items()}
    curvature = {
        key: torch.from_numpy(np.asarray(fill.uniform(SALT, f"{key}.curvature", shape, 0.1, 3.0)))
        for key, shape in SHAPES.items()
    }
    optimiser = Ranger(parameters.values(), **SETTINGS[setting])
    path: dict[str, list[Tensor]] = {key: [] for key in SHAPES}
    for _ in range(20):
        optimiser.zero_grad()
        sum((0.5 * curvature[k] * (parameters[k] - targets[k]) ** 2).sum() for k in SHAPES).backward()  # type: ignore[union-attr]
        optimiser.step()
        for key, parameter in parameters.items():
            path[key].append(parameter.detach().clone())
    for key, points in path.items():
        numbers.check(f"{setting}.{key}", torch.stack(points), limit=1e-5)
