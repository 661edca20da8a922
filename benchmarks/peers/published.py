"""Networks of the published systems, from a folder of their repositories: read at run time, nothing of them is here.

``root`` holds ``pix2pixHD`` (NVIDIA), ``SPADE`` (NVlabs) and ``CC-FPSE`` (xh-liu) as they are on GitHub. All three call
their packages ``models`` and ``util``, so each is imported on its own and forgotten again.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from networks import Conditioned, Scores
from torch import Tensor, nn

PACKAGES = ("models", "util")
LABELS, SIDE = 19, 128
# Where each looks for its networks; one that is not there means that the repository is not.
FILES = {"pix2pixHD": "models/networks.py", "SPADE": "models/networks/generator.py",
         "CC-FPSE": "models/networks/condconv.py"}  # fmt: skip


def is_there(root: Path | None, repository: str) -> bool:
    """Whether the folder holds this repository."""
    return root is not None and (root / repository / FILES[repository]).is_file()


@contextlib.contextmanager
def _only(folder: Path) -> Iterator[None]:
    """Imports of ``models`` and ``util`` come from this folder meanwhile."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
            del sys.modules[name]

    forget()
    sys.path.insert(0, str(folder))
    # SPADE asks for a third repository, whose layer is the usual one in one process; ``util`` the networks do not use.
    normal: Any = types.ModuleType("models.networks.sync_batchnorm")
    normal.SynchronizedBatchNorm2d = nn.BatchNorm2d
    parts: dict[str, types.ModuleType] = {name: types.ModuleType(name) for name in ("util", "util.util")}
    sys.modules.update({"models.networks.sync_batchnorm": normal, **parts})
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = written
        sys.path.remove(str(folder))
        forget()


class _Plain(Conditioned):
    """A generator that takes the condition alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, condition_BCHW: Tensor) -> Tensor:
        drawn: Tensor = self.network(condition_BCHW)
        return drawn


class _Multiscale(nn.Module):
    """A discriminator that takes condition and picture in one, and gives the features of each scale, scores last."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, condition_BCHW: Tensor, image_BCHW: Tensor) -> Scores:
        import torch

        scales = self.network(torch.cat([condition_BCHW, image_BCHW], dim=1))
        return [scale[-1] for scale in scales], [feature for scale in scales for feature in scale[:-1]]


class _Embedding(nn.Module):
    """CC-FPSE's discriminator, which is given both apart."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, condition_BCHW: Tensor, image_BCHW: Tensor) -> Scores:
        features, scores = self.network(image_BCHW, condition_BCHW)
        return list(scores), list(features)


def pix2pix_hd(root: Path, channels: int, width: int) -> tuple[Conditioned, nn.Module]:
    """Its global generator with three halvings and four blocks, and two patch discriminators."""
    with _only(root / "pix2pixHD"):
        networks: Any = importlib.import_module("models.networks")
        norm = networks.get_norm_layer("instance")
        generator = networks.GlobalGenerator(channels, 3, width, 3, 4, norm)
        judge = networks.MultiscaleDiscriminator(channels + 3, width, 3, norm, False, 2, True)
        for network in (generator, judge):
            network.apply(networks.weights_init)
    return _Plain(generator), _Multiscale(judge)


def spade(root: Path, width: int) -> tuple[Conditioned, nn.Module]:
    """SPADE without its variational encoder, and its two patch discriminators."""
    generator, judge = _pair(root / "SPADE", "SPADEGenerator", "MultiscaleDiscriminator", width)
    return _Plain(generator), _Multiscale(judge)


def cc_fpse(root: Path, width: int) -> tuple[Conditioned, nn.Module]:
    """CC-FPSE without noise at its start, and its pyramid discriminator."""
    generator, judge = _pair(root / "CC-FPSE", "CondConvGenerator", "FPSEDiscriminator", width)
    return _Plain(generator), _Embedding(judge)


def _pair(folder: Path, generator_name: str, judge_name: str, width: int) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of a repository laid out like SPADE's."""
    options = _options(width)
    with _only(folder):
        generators: Any = importlib.import_module("models.networks.generator")
        judges: Any = importlib.import_module("models.networks.discriminator")
        generator, judge = getattr(generators, generator_name)(options), getattr(judges, judge_name)(options)
        for network in (generator, judge):
            network.init_weights("xavier", 0.02)
    return generator, judge


def _options(width: int) -> SimpleNamespace:
    """The settings that SPADE's and CC-FPSE's networks read, as published but for the width and the side."""
    return SimpleNamespace(
        ngf=width, ndf=width, semantic_nc=LABELS, label_nc=LABELS, output_nc=3, contain_dontcare_label=False,
        no_instance=True, crop_size=SIDE, aspect_ratio=1.0, norm_G="spectralspadesyncbatch3x3",
        norm_D="spectralinstance", num_upsampling_layers="normal", use_vae=False, z_dim=256, num_D=2, n_layers_D=3,
        netD_subarch="n_layer", no_ganFeat_loss=False, mpdist=False, dataset_mode="custom",
    )  # fmt: skip
