"""What our own training wrote to an installed model: a run folder, or one of its weight files."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pixel2style2pixel_cli.engine.loading import load_encoder_file, load_generator_file
from pixel2style2pixel_cli.errors import IntegrityError, MissingError, P2S2PError, UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent
from pixel2style2pixel_cli.install.own_card import FREE_LICENCE, OWN_RANK, encoder_card, generator_card
from pixel2style2pixel_cli.install.store import Imported, Origin, Part, install
from pixel2style2pixel_cli.weights.digest import require_digest
from pixel2style2pixel_cli.weights.header import WeightHeader, read_weight_header
from pixel2style2pixel_cli.weights.read import read_tensors
from pixel2style2pixel_cli.zoo.card_text import card_text
from pixel2style2pixel_cli.zoo.cards import CARD_FILE, Card, load_card
from pixel2style2pixel_cli.zoo.find import find_named, list_cards
from pixel2style2pixel_cli.zoo.resolve import locate, resolve
from pixel2style2pixel_cli.zoo.verify import sha256_file

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """The files of a model to install; ``lender`` is the model of the zoo that draws for it, by name."""

    generator: Path
    encoder: Path | None = None
    heads: Path | None = None
    card: Card | None = None
    lender: str | None = None

    @property
    def files(self) -> list[Path]:
        """All of them, what identifies the model first."""
        return [path for path in (self.encoder, self.heads, self.generator) if path is not None]


def is_own(path: Path) -> bool:
    """Whether a path is a folder, or a file in the container of our weights; what it holds is not looked at."""
    return path.is_dir() or path.suffix == ".safetensors"


def import_own(path: Path, destination: Path, on_event: OnEvent) -> Imported:
    """Check and install a run folder or a weight file of ours; after a failure ``destination`` is as it was.

    An encoder brings its generator along, unless a model of the zoo lends it under the name by which it is found.
    Raises IntegrityError for damaged files and numbers that are not finite, MissingError for an absent generator.
    """
    on_event(Notice(message=f"reading {path.name}"))
    source = _find_source(path)
    for file in source.files:
        require_digest(file)
    generator, digest = load_generator_file(source.generator, CPU, torch.float32)
    header = read_weight_header(source.files[0])
    parts: list[Part] = []
    if source.encoder is not None:
        spec = header.encoder_spec()
        load_encoder_file(source.encoder, spec, generator, heads=source.heads)  # fits, or is refused
        parts.append(Part(role="encoder", state=_encoder_state(source), spec=spec, generator=digest))
    if source.lender is None:
        parts.append(Part(role="generator", state=read_tensors(source.generator), spec=generator.spec))
    card = _card(source, header, generator.spec.n_styles, destination)
    origin = Origin(
        file=source.files[0].name, sha256=sha256_file(source.files[0]), checked_by="digest", licence=card.licence
    )
    digests = install(parts, destination, origin, card_text(card))
    files = {role: destination / f"{role}.safetensors" for role in digests}
    return Imported(card=card, files=files, digests=digests, source_sha256=origin.sha256, checked_by="digest")


def _find_source(path: Path) -> _Source:
    if not path.exists():
        raise MissingError(f"{path} does not exist", "check the path")
    folder = path if path.is_dir() else path.parent
    has_card = (folder / CARD_FILE).is_file()
    if path.is_dir() and not has_card:
        named = (folder / "encoder.safetensors", folder / "generator.safetensors")
        present = [file for file in named if file.is_file()]
        if not present:
            raise MissingError(
                f"{path} holds neither {CARD_FILE} nor a weight file", "name the folder of a finished run"
            )
        path = present[0]
    if not path.is_dir():
        header = read_weight_header(path)
        if header.kind == "generator":
            return _Source(generator=path)
        if header.kind != "encoder":
            raise UsageError(f"{path} holds {header.kind} only", "name the folder that it lies in")
        if not has_card:
            return _with_lender(path, header)
    model = resolve(load_card(folder, any_name=True))
    name, files = model.card.generator_model, model.files
    return _Source(
        generator=files["generator"],
        encoder=files.get("encoder"),
        heads=files.get("heads"),
        card=model.card,
        lender=name if name is not None and _is_lent(name, files["generator"]) else None,
    )


def _with_lender(path: Path, header: WeightHeader) -> _Source:
    """An encoder by itself: the installed model whose generator it was trained for draws for it."""
    if not header.generator:
        raise UsageError(
            f"{path} does not say which generator it was trained for",
            "import the folder of its run: it has a model.toml",
        )
    for card in list_cards():
        file = None if card.generator is None else _generator_file(card)
        if file is not None and _digest_of(file) == header.generator:
            return _Source(generator=file, encoder=path, lender=card.name)
    raise MissingError(
        f"the generator {header.generator[:12]} that {path} was trained for is not installed",
        "import it first, or import the folder of the run: p2s2p models import NAME FOLDER",
    )


def _is_lent(name: str, file: Path) -> bool:
    """Whether the model of this name in the zoo draws with the very generator in ``file``."""
    try:
        lent = _generator_file(find_named(name))
    except P2S2PError:
        return False
    return lent is not None and _digest_of(lent) == _digest_of(file)


def _generator_file(card: Card) -> Path | None:
    try:
        model = locate(card)
    except P2S2PError:
        return None
    return None if model is None else model.files["generator"]


def _digest_of(file: Path) -> str:
    try:
        return read_weight_header(file).digest
    except IntegrityError:
        return ""


def _encoder_state(source: _Source) -> dict[str, Tensor]:
    """All tensors of the encoder: what it shares with another one is installed with it."""
    lent = {} if source.heads is None else read_tensors(source.heads)
    return lent | ({} if source.encoder is None else read_tensors(source.encoder))


def _card(source: _Source, header: WeightHeader, rows: int, destination: Path) -> Card:
    """The card to install: that of the run under its new name, or one made from what the file says."""
    licence, title = header.licence, f"imported from {source.files[0].name}"
    generator = None if source.lender else read_weight_header(source.generator).generator_spec()
    if source.card is not None:
        return dataclasses.replace(
            source.card,
            name=destination.name,
            rank=OWN_RANK if source.card.tasks else 0,
            encoder=None if source.encoder is None else header.encoder_spec(),
            generator=generator,
            encoder_model=None,
            heads_model=None,
            generator_model=source.lender,
            weights=(),
            bundled=False,
            folder=destination,
        )
    if source.lender is not None:
        return encoder_card(destination, header.encoder_spec(), source.lender, rows, title, licence)
    return generator_card(destination, header.generator_spec(), title, licence, licence == FREE_LICENCE)
