"""A published checkpoint on disk into an installed model: checked against its card, converted, put in place."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TypeAlias

from pixel2style2pixel_cli.convert.layout import convert_checkpoint
from pixel2style2pixel_cli.convert.psp import Converted
from pixel2style2pixel_cli.convert.safe_pickle import file_kind, load_checkpoint
from pixel2style2pixel_cli.errors import IntegrityError, UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent, ignore_event
from pixel2style2pixel_cli.install.own_card import own_card
from pixel2style2pixel_cli.install.own_files import import_own, is_own
from pixel2style2pixel_cli.install.store import Imported, Origin, Part, check_name, install
from pixel2style2pixel_cli.networks.families import ENCODER_FAMILIES
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.weights.digest import tensor_digest
from pixel2style2pixel_cli.zoo.card_text import card_text
from pixel2style2pixel_cli.zoo.cards import CARD_FILE, Card, load_card
from pixel2style2pixel_cli.zoo.find import install_folder, zoo_folder
from pixel2style2pixel_cli.zoo.verify import sha256_file

Specs: TypeAlias = tuple[EncoderSpec | None, GeneratorSpec | None]


def import_model(name: str, file: Path, on_event: OnEvent = ignore_event) -> Imported:
    """Install ``file`` as the zoo model ``name``, or, where no card has that name, as a model of the user's own.

    It is a published checkpoint, or what our own training wrote: a weight file or a whole run folder.
    """
    check_name(name)
    card = _zoo_card(name)
    if card is not None and card.bundled:
        raise UsageError(f"{name} is bundled with the program", "choose another name for your file")
    if not is_own(file):
        return import_checkpoint(card, file, install_folder(name), on_event)
    if card is not None:
        raise UsageError(f"{name} is the name of a published model", "choose another name for your file")
    return import_own(file, install_folder(name), on_event)


def _zoo_card(name: str) -> Card | None:
    """The zoo's card of this name; one that an earlier import wrote does not count, it is written anew."""
    folder = zoo_folder() / name
    return load_card(folder) if (folder / CARD_FILE).is_file() else None


def import_checkpoint(card: Card | None, file: Path, destination: Path, on_event: OnEvent = ignore_event) -> Imported:
    """Check, convert and install ``file`` into the folder ``destination``; after a failure that folder is as it was.

    Against a card, the specs must be the card's, and the sha256 too where the card knows it. Without a card, one is
    written beside the weights, under the folder's name.
    """
    file_kind(file)  # a web page or a pointer deserves its own message before anything takes time
    on_event(Notice(message=f"reading {file.name}"))
    digest = sha256_file(file)
    converted = _at_stage_of(card, convert_checkpoint(load_checkpoint(file), on_event))
    checked_by = "layout" if card is None else _check_against(card, converted, file, digest)
    used = card or own_card(destination, converted, file.name)
    on_event(Notice(message=f"{describe(converted.encoder_spec, converted.generator_spec)}; licence: {used.licence}"))
    origin = Origin(file=file.name, sha256=digest, checked_by=checked_by, licence=used.licence)
    digests = install(_parts(converted), destination, origin, card_text(used) if card is None else None)
    files = {role: destination / f"{role}.safetensors" for role in digests}
    return Imported(card=used, files=files, digests=digests, source_sha256=digest, checked_by=checked_by)


def _at_stage_of(card: Card | None, converted: Converted) -> Converted:
    """The encoder at the stage of its card: no published file says at which one it was trained to be used."""
    spec = converted.encoder_spec
    if card is None or card.encoder is None or spec is None or not (spec.has_offsets and card.encoder.has_offsets):
        return converted
    return dataclasses.replace(converted, encoder_spec=dataclasses.replace(spec, stage=card.encoder.stage))


def _parts(converted: Converted) -> list[Part]:
    """The files to write."""
    parts = [Part(role="generator", state=converted.generator, spec=converted.generator_spec)]
    if converted.encoder is not None and converted.encoder_spec is not None:
        drawn_by = tensor_digest(converted.generator)
        parts.insert(0, Part(role="encoder", state=converted.encoder, spec=converted.encoder_spec, generator=drawn_by))
    return parts


def _check_against(card: Card, converted: Converted, file: Path, digest: str) -> str:
    """Raise IntegrityError unless the checkpoint is the card's; returns what said so: its hash, or its layout only."""
    expected = card.encoder, card.generator
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
    return f"{ENCODER_FAMILIES[encoder.kind].title} encoder ({channels}, {encoder.input_size} px) and {drawn}"
