"""What a loaded checkpoint is, judged by its keys alone, and the way from there to our tensors."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from pixel2style2pixel_cli.convert.faceid import looks_like_recogniser
from pixel2style2pixel_cli.convert.names import tensor_state
from pixel2style2pixel_cli.convert.nvidia import looks_like_nvidia, nvidia_to_rosinality
from pixel2style2pixel_cli.convert.nvidia_pickle import NETWORK
from pixel2style2pixel_cli.convert.psp import Converted, convert_psp
from pixel2style2pixel_cli.convert.rosinality import convert_generator, looks_like_generator
from pixel2style2pixel_cli.errors import SHOWN, IntegrityError, UsageError, in_one_line
from pixel2style2pixel_cli.events import Notice, OnEvent, ignore_event

Layout = Literal["psp", "rosinality", "rosinality-bare", "nvidia", "nvidia-bare", "recogniser"]


def detect_layout(checkpoint: object) -> Layout:
    """Name the layout of a loaded checkpoint; IntegrityError listing its top-level keys when none fits."""
    keys = {str(key): value for key, value in checkpoint.items()} if isinstance(checkpoint, dict) else {}
    averaged, network = keys.get("g_ema"), keys.get(NETWORK)
    if isinstance(keys.get("state_dict"), dict) and "opts" in keys:
        return "psp"
    if isinstance(averaged, dict) and looks_like_generator(averaged):
        return "rosinality"
    if isinstance(network, dict) and looks_like_nvidia(network):
        return "nvidia"
    if looks_like_generator(keys):
        return "rosinality-bare"
    if looks_like_nvidia(keys):
        return "nvidia-bare"
    if looks_like_recogniser(keys):
        return "recogniser"
    shown = ", ".join(in_one_line(key)[:SHOWN] for key in list(keys)[:5]) if keys else type(checkpoint).__name__
    raise IntegrityError(
        f"the file holds {shown or 'nothing'}{', ...' if len(keys) > 5 else ''}, which is no layout this program knows",
        "known: pSp, e4e and ReStyle checkpoints, StyleGAN2 generators of the PyTorch port and of NVIDIA's ADA code",
    )


def convert_checkpoint(checkpoint: object, on_event: OnEvent = ignore_event) -> Converted:
    """Any known checkpoint as our specs and tensors; IntegrityError for whatever else it turns out to be."""
    try:
        return _converted(checkpoint, on_event)
    except UsageError as error:  # sizes that no network has
        raise IntegrityError(f"the file cannot be converted: {error.message}", "name another file") from error
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        # Names of a known layout over tensors of any shape and type lead anywhere; none of it is a bug of ours.
        what = in_one_line(error) or type(error).__name__
        raise IntegrityError(f"the file cannot be converted: {what}", "name another file") from error


def _converted(checkpoint: object, on_event: OnEvent) -> Converted:
    layout = detect_layout(checkpoint)
    contents = checkpoint if isinstance(checkpoint, dict) else {}  # detect_layout refuses everything else
    if layout == "psp":
        return convert_psp(contents, on_event)
    if layout == "recogniser":
        raise IntegrityError(
            "this is a face recogniser, which draws no picture", "it serves training: name it with p2s2p train encoder"
        )
    if layout in ("rosinality", "rosinality-bare"):
        state = tensor_state(contents["g_ema"] if layout == "rosinality" else contents, "the generator")
        average = contents.get("latent_avg") if layout == "rosinality" else None
    else:
        state, average = nvidia_to_rosinality(
            tensor_state(contents[NETWORK] if layout == "nvidia" else contents, "the generator")
        )
        clamp = contents.get("conv_clamp")
        if clamp is not None:
            message = f"the generator was trained with activations clamped to +-{clamp}; ours does not clamp"
            on_event(Notice(message=f"{message}, so rare extreme pictures may differ", level="warning"))
    if average is not None and not isinstance(average, Tensor):
        raise IntegrityError(f"latent_avg is {type(average).__name__}, expected a tensor", "name another file")
    spec, generator = convert_generator(state, average, on_event)
    return Converted(generator_spec=spec, generator=generator)
