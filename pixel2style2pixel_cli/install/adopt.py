"""A published checkpoint on disk into an installed model: checked against its card, converted, put in place."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pixel2style2pixel_cli.convert.layout import convert_checkpoint
from pixel2style2pixel_cli.convert.psp import Converted
from pixel2style2pixel_cli.convert.safe_pickle import file_kind, load_checkpoint
from pixel2style2pixel_cli.errors import IntegrityError, MissingError, UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent, ignore_event
from pixel2style2pixel_cli.install.own_card import card_text, own_card
from pixel2style2pixel_cli.install.store import Origin, install
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.zoo.cards import Card, encoder_spec_of, generator_spec_of
from pixel2style2pixel_cli.zoo.find import find_card, install_folder
from pixel2style2pixel_cli.zoo.verify import sha256_file

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
RESERVED_NAMES = {"auto", "mini"}
ENCODER_TITLES = {"psp": "a pSp", "e4e": "an e4e", "psp_w": "an into-W", "psp_wplus": "a naive W+"}


Specs: TypeAlias = tuple[EncoderSpec | None, GeneratorSpec | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What an import did: the card, the files and tensor digests by role, and how the source was checked."""

    card: Card
    files: dict[str, Path]
    digests: dict[str, str]
    source_sha256: str
    checked_by: str


def import_model(name: str, file: Path, on_event: OnEvent = ignore_event) -> Imported:
    """Install a checkpoint as the zoo model ``name``, or, where no card has that name, as a model of the user's own."""
    check_name(name)
    card = _zoo_card(name)
    if card is not None and card.bundled:
        raise UsageError(f"{name} is bundled with the program", "choose another name for your file")
    return import_checkpoint(card, file, install_folder(name), on_event)


def check_name(name: str) -> None:
    """Raise UsageError for what cannot be a model's name."""
    if not NAME_PATTERN.fullmatch(name) or name in RESERVED_NAMES:
        raise UsageError(
            f"{name!r} cannot be a model's name", "use lower-case letters, digits, dots, dashes; not auto or mini"
        )


def _zoo_card(name: str) -> Card | None:
    """The zoo's card of this name; a card that an earlier import wrote does not count, it is written anew."""
    try:
        card = find_card(name)
    except MissingError:
        return None
    return None if card.folder == install_folder(name) else card


def import_checkpoint(card: Card | None, file: Path, destination: Path, on_event: OnEvent = ignore_event) -> Imported:
    """Check, convert and install ``file`` into the folder ``destination``; after a failure that folder is as it was.

    Against a card, the specs must be the card's, and the sha256 too where the card knows it. Without a card, one is
    written beside the weights, under the folder's name.
    """
    file_kind(file)  # a web page or a pointer deserves its own message before anything takes time
    on_event(Notice(message=f"reading {file.name}"))
    digest = sha256_file(file)
    converted = convert_checkpoint(load_checkpoint(file), on_event)
    checked_by = "layout" if card is None else _check_against(card, converted, file, digest)
    used = card or own_card(destination, converted, file.name)
    on_event(Notice(message=f"{describe(converted.encoder_spec, converted.generator_spec)}; licence: {used.licence}"))
    origin = Origin(file=file.name, sha256=digest, checked_by=checked_by, licence=used.licence)
    digests = install(converted, destination, origin, card_text(used) if card is None else None)
    files = {role: destination / f"{role}.safetensors" for role in digests}
    return Imported(card=used, files=files, digests=digests, source_sha256=digest, checked_by=checked_by)


def _check_against(card: Card, converted: Converted, file: Path, digest: str) -> str:
    """Raise IntegrityError unless the checkpoint is the card's; returns what said so: its hash, or its layout only."""
    expected = encoder_spec_of(card), generator_spec_of(card)
    found = converted.encoder_spec, converted.generator_spec
    if expected[0] != found[0] or expected[1] not in (None, found[1]):
        what = f"{file} holds {describe(*found)}, expected {describe(*expected)} for {card.name}"
        raise IntegrityError(
            f"{what}; {_differences(found, expected)}" if describe(*found) == describe(*expected) else what,
            f"choose another file, or another name: p2s2p models import NAME {file}",
        )
    weight = card.weight("checkpoint")
    if weight is None or weight.sha256 is None:
        return "layout"
    if weight.sha256 != digest:
        raise IntegrityError(
            f"{file} has sha256 {digest}, expected {weight.sha256} for {card.name}",
            f"fetch the file again, or import it under a name of your own: p2s2p models import NAME {file}",
        )
    return "sha256"


def _differences(found: Specs, expected: Specs) -> str:
    """The fields in which specs differ that read alike in few words."""
    parts = []
    for role, ours, theirs in zip(("encoder", "generator"), found, expected, strict=True):
        if ours is not None and theirs is not None:
            wanted = dataclasses.asdict(theirs)
            fields = {key: value for key, value in dataclasses.asdict(ours).items() if value != wanted[key]}
            parts += [f"{role}.{key} is {value}, expected {wanted[key]}" for key, value in fields.items()]
    return ", ".join(parts)


def describe(encoder: EncoderSpec | None, generator: GeneratorSpec | None) -> str:
    """Encoder and generator in a few words."""
    drawn = "another model's generator" if generator is None else f"a {generator.resolution} px generator"
    if encoder is None:
        return drawn
    channels = f"{encoder.input_channels} input channel{'s' if encoder.input_channels > 1 else ''}"
    return f"{ENCODER_TITLES[encoder.kind]} encoder ({channels}, {encoder.input_size} px) and {drawn}"
