"""Two generators, named as everywhere else, into an installed one: found, compared, blended, checked, put in place."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixel2style2pixel_cli.engine.loading import locate_generator
from pixel2style2pixel_cli.errors import UsageError, clean
from pixel2style2pixel_cli.install.blend_layers import blend_generators
from pixel2style2pixel_cli.install.own_card import FREE_LICENCE, generator_card
from pixel2style2pixel_cli.install.store import Origin, Part, check_name, install
from pixel2style2pixel_cli.networks.specs import GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.weights.digest import require_digest
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.weights.read import materialise, read_tensors
from pixel2style2pixel_cli.zoo.card_text import card_text
from pixel2style2pixel_cli.zoo.cards import Card
from pixel2style2pixel_cli.zoo.choose import installed_models
from pixel2style2pixel_cli.zoo.find import card_folders, install_folder
from pixel2style2pixel_cli.zoo.resolve import InstalledModel

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """One of the two generators: what to call it, its tensors as stored, and on which terms it may be used."""

    label: str
    digest: str
    spec: GeneratorSpec
    state: dict[str, Tensor]
    licence: str
    commercial_ok: bool


def install_blend(structure: str, look: str, name: str, *, at: int, width: float = 0.0) -> dict[str, Any]:
    """Install under ``name`` the generator that draws as ``structure`` below ``at`` px and as ``look`` from there on.

    Both are a model, a generator.safetensors or a folder with one. With the encoder of an installed inversion model of
    ``structure`` it can toonify. Raises UsageError for a name that is taken or not
    one, for generators of different specs and for a resolution they do not have.
    """
    check_name(name)
    _require_free(name)
    parts = _read_part(structure), _read_part(look)
    _require_same_spec(*parts)
    spec = parts[0].spec
    state = blend_generators(parts[0].state, parts[1].state, spec, at, width)
    destination = install_folder(name)
    path = destination / "generator.safetensors"
    materialise(lambda: Generator(spec), state, path, CPU, torch.float32)
    inversion = _inversion_model(parts[0].digest)
    licence, commercial_ok = _terms(*parts, inversion)
    title = f"{parts[0].label} below {at} px, {parts[1].label} from there on"
    title += f", mixed over {width:g} doublings" if width else ""
    card = generator_card(destination, spec, title, licence, commercial_ok)
    if inversion is not None:
        card = dataclasses.replace(
            card, tasks=("toonify",), auto=False, encoder_model=inversion.name, input=inversion.input
        )
    origin = Origin(file=title, sha256="", checked_by="blend", licence=licence)
    text = f"# {clean(_history(parts, at, width))}\n{card_text(card)}"
    digests = install([Part(role="generator", state=state, spec=spec)], destination, origin, text)
    return {
        "name": name, "structure": parts[0].label, "look": parts[1].label, "at": at, "width": width,
        "tasks": list(card.tasks), "encoder": card.encoder_model,
        "licence": licence, "commercial_ok": commercial_ok, "files": {"generator": str(path)}, "digests": digests,
    }  # fmt: skip


def _require_free(name: str) -> None:
    if install_folder(name).exists() or name in {folder.name for folder in card_folders()}:
        raise UsageError(
            f"there is a model {name} already", f"choose another name, or type: p2s2p models remove {name}"
        )


def _read_part(name: str) -> _Part:
    path, installed = locate_generator(name)
    require_digest(path)
    header = read_weight_header(path)
    licence = header.licence if installed is None else _lender(installed).licence
    return _Part(
        label=_file_label(path) if installed is None else _lender(installed).name,
        digest=header.digest,
        spec=header.generator_spec() if installed is None else installed.generator,
        state=read_tensors(path),
        licence=licence,
        commercial_ok=licence == FREE_LICENCE if installed is None else _lender(installed).commercial_ok,
    )


def _lender(installed: InstalledModel) -> Card:
    """The card whose generator a model draws with."""
    return installed.parts["generator"]


def _file_label(path: Path) -> str:
    """A run's folder, or the file where it has a name of its own; never a whole path of somebody's machine."""
    return path.resolve().parent.name if path.name == "generator.safetensors" else path.stem


def _require_same_spec(structure: _Part, look: _Part) -> None:
    first, second = dataclasses.asdict(structure.spec), dataclasses.asdict(look.spec)
    fields = [f"{key} is {value} and {second[key]}" for key, value in first.items() if value != second[key]]
    if fields:
        raise UsageError(
            f"{structure.label} and {look.label} are built differently: {', '.join(fields)}",
            "blend two generators of one family: the second trained on from the first",
        )


def _inversion_model(generator_digest: str) -> Card | None:
    """The card whose encoder finds codes of the generator with this digest, for faces; the best one installed."""
    for model in installed_models("invert"):
        whole = "heads" not in model.parts  # a card can name one lender for an encoder
        if whole and read_weight_header(model.files["generator"]).digest == generator_digest:
            return model.parts["encoder"]
    return None


def _terms(structure: _Part, look: _Part, encoder: Card | None) -> tuple[str, bool]:
    """The strictest licence of what the model is made of, and whether all allow commercial use."""
    parts: list[_Part | Card] = [structure, look] if encoder is None else [structure, look, encoder]
    strict = next((part for part in parts if not part.commercial_ok), structure)
    return strict.licence, strict.commercial_ok


def _history(parts: tuple[_Part, _Part], at: int, width: float) -> str:
    """What went into a blend, for the head of its card."""
    first, second = (f"{p.label} (digest {p.digest[:12]}, licence {p.licence})" for p in parts)
    return f"Layers below {at} px from {first}, from {at} px on from {second}; width {width:g}"
