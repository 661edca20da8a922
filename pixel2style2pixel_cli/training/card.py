"""The card that a finished run leaves in its folder, so that its network can be named as a model at once."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS
from pixel2style2pixel_cli.networks.specs import GeneratorSpec, RecogniserSpec
from pixel2style2pixel_cli.training.config import EncoderTraining
from pixel2style2pixel_cli.training.export import LICENCE
from pixel2style2pixel_cli.training.offsets import Method
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.zoo.card_text import card_text
from pixel2style2pixel_cli.zoo.cards import CARD_FILE, Card, InputRule, WeightFile, mixing_layers, with_mixing
from pixel2style2pixel_cli.zoo.find import card_folders
from pixel2style2pixel_cli.zoo.resolve import InstalledModel, locate

_TITLES: dict[Method, str] = {"psp": "", "e4e": "e4e ", "cycle": "Cycle Encoding's ", "restyle": "ReStyle "}


def write_generator_card(folder: Path, spec: GeneratorSpec) -> None:
    """The card of a generator's run: by itself it does no task."""
    _write(_card(folder, "generator", spec))


def write_recogniser_card(folder: Path, spec: RecogniserSpec) -> None:
    """The card of a recogniser's run: it draws nothing, and losses look through it."""
    _write(replace(_card(folder, "face recogniser"), recogniser=spec))


def write_encoder_card(
    folder: Path, config: EncoderTraining, generator: Path, lender: InstalledModel | None, *, task: str | None = None
) -> None:
    """The card of an encoder's run; without a ``task`` it does what encoders of such inputs do.

    A model of the zoo lends its generator by name. Any other ``generator`` is copied into the folder, which can then be
    moved, and the run it came from be deleted.
    """
    data = config.task
    turned = data.kind == "photo" and data.target != "photo"  # of photographs, what was learnt to draw says it
    tasks = with_mixing(task or ("frontalize" if turned else INPUT_KINDS[data.kind].task))
    header = read_weight_header(generator)
    card = replace(
        _card(folder, f"{_TITLES[data.method]}encoder for {tasks[0]}", header.generator_spec()),
        tasks=tasks,
        encoder=read_weight_header(folder / "encoder.safetensors").encoder_spec(),
        input=InputRule.of(data.kind),
        weights=(WeightFile(role="heads", file="heads.safetensors"),) if data.heads == "kept" else (),
        passes=data.passes,
    )
    if lender is None:
        card = _under(card, header.licence, header.licence == LICENCE)
    else:
        owner = lender.parts["generator"]
        card = _under(card, owner.licence, owner.commercial_ok)
        named = replace(card, generator=None, generator_model=owner.name)
        if owner.folder in card_folders() and _draws_with(named, generator):
            return _write(named)
    own = folder / "generator.safetensors"
    if not (own.exists() and own.samefile(generator)):
        write_atomic(own, generator.read_bytes())
    return _write(card)


def _card(folder: Path, title: str, spec: GeneratorSpec | None = None) -> Card:
    """A card named after the run's folder, which may be called what no model can be."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("._-")[:64]
    return Card(
        name=name or "run",
        title=f"{title}, trained with p2s2p",
        tasks=(),
        rank=0,
        licence=LICENCE,
        commercial_ok=True,
        generator=spec,
        input=InputRule(),
        mixing_layers="" if spec is None else mixing_layers(spec.n_styles),
        weights=(),
        folder=folder,
    )


def _under(card: Card, licence: str, commercial_ok: bool) -> Card:
    """The card under the terms of the generator, where these are stricter than our own."""
    return card if commercial_ok else replace(card, licence=licence, commercial_ok=False)


def _draws_with(card: Card, generator: Path) -> bool:
    """Whether the name in the card leads to this very file, and not to another model of that name beside the run."""
    try:
        found = locate(card)
    except P2S2PError:
        return False
    return found is not None and found.files["generator"].samefile(generator)


def _write(card: Card) -> None:
    write_atomic(card.folder / CARD_FILE, card_text(card).encode())
