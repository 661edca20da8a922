"""A card for a checkpoint that the zoo does not know, and cards as TOML."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from pixel2style2pixel_cli.convert.psp import Converted
from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.networks.specs import GeneratorSpec
from pixel2style2pixel_cli.zoo.cards import Card, InputRule

OWN_RANK = 10  # above the bundled models, below the published ones
UNKNOWN_LICENCE = "unknown"

# What the published training code calls its data, where that is not plain inversion.
TASKS = {
    "ffhq_frontalize": "frontalize",
    "celebs_super_resolution": "superres",
    "celebs_sketch_to_face": "sketch2face",
    "celebs_seg_to_face": "seg2face",
}
INPUT_KINDS: dict[str, InputKind] = {"sketch2face": "sketch", "seg2face": "labels", "superres": "lowres"}


def own_card(folder: Path, converted: Converted, file_name: str) -> Card:
    """The card of a checkpoint that the user named; what it does is read off its options and its input channels."""
    tasks: tuple[str, ...] = ()
    if converted.encoder_spec is not None:
        by_channels = {1: "sketch2face", 3: "invert", 19: "seg2face"}.get(converted.encoder_spec.input_channels)
        task = TASKS.get(converted.dataset or "", by_channels)
        tasks = (task,) if task else ()
    kind = INPUT_KINDS.get(tasks[0], "photo") if tasks else "photo"
    return Card(
        name=folder.name,
        title=f"imported from {file_name}",
        tasks=tasks,
        rank=OWN_RANK,
        licence=UNKNOWN_LICENCE,
        commercial_ok=False,
        encoder=dataclasses.asdict(converted.encoder_spec) if converted.encoder_spec else {},
        generator=dataclasses.asdict(converted.generator_spec),
        generator_model=None,
        input=InputRule(
            kind=kind,
            align="none" if kind in ("sketch", "labels") else "ffhq",
            schema="celebamask-19" if kind == "labels" else None,
        ),
        mixing_layers=_mixing_layers(converted.generator_spec),
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
        encoder={},
        generator=dataclasses.asdict(spec),
        generator_model=None,
        input=InputRule(),
        mixing_layers=_mixing_layers(spec),
        weights=(),
        folder=folder,
    )


def _mixing_layers(spec: GeneratorSpec) -> str:
    """The rows of style mixing: the published ones, or the finer half of a smaller generator's."""
    return "8-" if spec.n_styles > 8 else f"{spec.n_styles // 2}-"


def card_text(card: Card) -> str:
    """A card as TOML."""
    rule: dict[str, object] = {"kind": card.input.kind, "align": card.input.align}
    if card.input.schema:
        rule["schema"] = card.input.schema
    top = {
        "name": card.name,
        "title": card.title,
        "tasks": list(card.tasks),
        "rank": card.rank,
        "licence": card.licence,
        "commercial_ok": card.commercial_ok,
    }
    tables: dict[str, dict[str, object]] = {
        "spec.encoder": card.encoder,
        "spec.generator": card.generator,
        "input": rule,
        "mixing": {"layers": card.mixing_layers},
    }
    parts = ["\n".join(_lines(top))]
    parts += ["\n".join([f"[{name}]", *_lines(table)]) for name, table in tables.items() if table]
    return "\n\n".join(parts) + "\n"


def _lines(table: dict[str, object]) -> list[str]:
    # JSON's texts, numbers, booleans and lists are also TOML's, once non-ASCII letters are left as they are.
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
