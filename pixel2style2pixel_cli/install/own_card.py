"""Cards of models that no zoo has: an imported checkpoint, a generator of the user's own."""

from __future__ import annotations

from pathlib import Path

from pixel2style2pixel_cli.convert.psp import Converted
from pixel2style2pixel_cli.inputs.kinds import kind_of_task, task_of_channels
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.zoo.cards import Card, InputRule, mixing_layers, with_mixing

OWN_RANK = 10  # above the bundled models, below the published ones
UNKNOWN_LICENCE = "unknown"
# What our own training writes into its files; any other licence is taken for one that forbids commercial use.
FREE_LICENCE = "mit"

# What the published training code calls its data, where that is not plain inversion.
TASKS = {
    "ffhq_frontalize": "frontalize",
    "celebs_super_resolution": "superres",
    "celebs_sketch_to_face": "sketch2face",
    "celebs_seg_to_face": "seg2face",
}


def own_card(folder: Path, converted: Converted, file_name: str) -> Card:
    """The card of a checkpoint that the user named; what it does is read off its options and its input channels."""
    task = None
    if converted.encoder_spec is not None:
        by_channels = task_of_channels(converted.encoder_spec.given_channels)
        task = TASKS.get(converted.dataset or "", by_channels)
    return Card(
        name=folder.name,
        title=f"imported from {file_name}",
        tasks=with_mixing(task),
        rank=OWN_RANK,
        licence=UNKNOWN_LICENCE,
        commercial_ok=False,
        encoder=converted.encoder_spec,
        generator=converted.generator_spec,
        input=InputRule.of(kind_of_task(task)),
        mixing_layers=mixing_layers(converted.generator_spec.n_styles),
        weights=(),
        folder=folder,
    )


def generator_card(folder: Path, spec: GeneratorSpec, title: str, licence: str, commercial_ok: bool) -> Card:
    """The card of a generator of the user's own: it does no task by itself."""
    return Card(
        name=folder.name,
        title=title,
        tasks=(),
        rank=0,
        licence=licence,
        commercial_ok=commercial_ok,
        generator=spec,
        input=InputRule(),
        mixing_layers=mixing_layers(spec.n_styles),
        weights=(),
        folder=folder,
    )


def encoder_card(folder: Path, spec: EncoderSpec, generator_model: str, rows: int, title: str, licence: str) -> Card:
    """The card of an encoder of the user's own, for a generator that is installed under another name."""
    task = task_of_channels(spec.given_channels)
    return Card(
        name=folder.name,
        title=title,
        tasks=with_mixing(task),
        rank=OWN_RANK,
        licence=licence,
        commercial_ok=licence == FREE_LICENCE,
        encoder=spec,
        generator_model=generator_model,
        input=InputRule.of(kind_of_task(task)),
        mixing_layers=mixing_layers(rows),
        weights=(),
        folder=folder,
    )
