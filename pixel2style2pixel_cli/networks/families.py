"""The kinds of encoders, without torch: one row each, and the only place where a kind is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# What the names of the map2style blocks begin with in a state dict.
HEADS = "heads."

# Rows of a code for the largest generator there is, of 4096 px, and where the convolutions are in a head of kind lite.
MOST_ROWS, HEAD_CONVOLUTIONS = 22, range(0, 16, 2)

# How published checkpoints name the tensors of an encoder: the tables of convert/psp.py.
PublishedLayout = Literal["pyramid", "into_w", "naive_w_plus", "last_map", "last_map_resnet"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderFamily:
    """One way of building an encoder.

    ``network`` is the module in this room and the class in it, ``title`` what people call it. ``published`` are the
    names that the options of published checkpoints give it, ``layout`` how those name its tensors; None where it was
    never published in another layout than ours. ``shared``: how the names of those parts begin that encoders of one
    generator may share, whatever their inputs. ``offsets``: rows after the first are offsets from it, which open one by
    one (e4e). ``repeats``: the last rows may share a head.
    """

    title: str
    network: tuple[str, str]
    published: tuple[str, ...] = ()
    layout: PublishedLayout | None = None
    shared: tuple[str, ...] = (HEADS,)
    offsets: bool = False
    repeats: bool = False


ENCODER_FAMILIES: dict[str, EncoderFamily] = {
    "psp": EncoderFamily(
        title="a pSp",
        network=("psp", "PSPEncoder"),
        published=("GradualStyleEncoder",),
        layout="pyramid",
    ),
    "psp_w": EncoderFamily(
        title="an into-W",
        network=("psp", "IntoWEncoder"),
        published=("BackboneEncoderUsingLastLayerIntoW", "SingleStyleCodeEncoder"),
        layout="into_w",
    ),
    "psp_wplus": EncoderFamily(
        title="a naive W+",
        network=("psp", "NaiveWPlusEncoder"),
        published=("BackboneEncoderUsingLastLayerIntoWPlus",),
        layout="naive_w_plus",
    ),
    # Published with the same tensors as pSp; only its name tells it apart.
    "e4e": EncoderFamily(
        title="an e4e",
        network=("e4e", "E4EEncoder"),
        published=("Encoder4Editing",),
        layout="pyramid",
        offsets=True,
    ),
    # ReStyle's own encoders; of two rules on each trunk only the name tells which.
    "restyle": EncoderFamily(
        title="a ReStyle",
        network=("restyle", "LastMapEncoder"),
        published=("BackboneEncoder",),
        layout="last_map",
    ),
    "restyle_e4e": EncoderFamily(
        title="an e4e ReStyle",
        network=("restyle", "ProgressiveLastMapEncoder"),
        published=("ProgressiveBackboneEncoder",),
        layout="last_map",
    ),
    "restyle_resnet": EncoderFamily(
        title="a ReStyle on ResNet34",
        network=("restyle", "ResNetLastMapEncoder"),
        published=("ResNetBackboneEncoder",),
        layout="last_map_resnet",
    ),
    "restyle_resnet_e4e": EncoderFamily(
        title="an e4e ReStyle on ResNet34",
        network=("restyle", "ProgressiveResNetLastMapEncoder"),
        published=("ResNetProgressiveBackboneEncoder",),
        layout="last_map_resnet",
    ),
    # The last two blocks of the trunk are a third of its numbers, and see no more than 4 x 4 places.
    "lite": EncoderFamily(
        title="a pSp on EfficientNet-Lite0",
        network=("lite", "LiteEncoder"),
        shared=(HEADS, "trunk.blocks.14.", "trunk.blocks.15."),
        repeats=True,
    ),
    # An offset is another number than a row, so the last layer of every head is its own; what it sees may be shared.
    "lite_e4e": EncoderFamily(
        title="an e4e on EfficientNet-Lite0",
        network=("e4e", "LiteE4EEncoder"),
        shared=("trunk.", *(f"{HEADS}{row}.{layer}." for row in range(MOST_ROWS) for layer in HEAD_CONVOLUTIONS)),
        offsets=True,
        repeats=True,
    ),
}
