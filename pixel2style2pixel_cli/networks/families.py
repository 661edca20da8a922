"""The kinds of encoders, without torch: one row each, and the only place where a kind is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# How published checkpoints name the tensors of an encoder: the tables of convert/psp.py.
PublishedLayout = Literal["pyramid", "into_w", "naive_w_plus"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderFamily:
    """One way of building an encoder.

    ``network`` is the module in this room and the class in it, ``title`` what people call it. ``published`` are the
    names that the options of published checkpoints give it, ``layout`` how those name its tensors; None where it was
    never published in another layout than ours.
    """

    title: str
    network: tuple[str, str]
    published: tuple[str, ...] = ()
    layout: PublishedLayout | None = None


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
    ),
}
