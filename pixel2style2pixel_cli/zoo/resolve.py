"""An installed model: which card lends each part of it, and where each file is; found once, then passed along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pixel2style2pixel_cli.errors import MissingError, UsageError
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.zoo.cards import CARD_FILE, Card, Role, load_card
from pixel2style2pixel_cli.zoo.find import find_named, install_folder, is_readable_file
from pixel2style2pixel_cli.zoo.verify import check_sha256, sha256_file


@dataclass(frozen=True, kw_only=True)
class InstalledModel:
    """A model whose files are all there.

    By role: the card in ``parts`` that lends a network (the model's own one, or another model's), and the file in
    ``files`` that holds it. ``changes`` is what pivotal tuning changed in the generator, where it was tuned;
    ``stage`` the stage that its encoder is used at, where that is not the card's.
    """

    card: Card
    parts: Mapping[Role, Card]
    files: Mapping[Role, Path]
    changes: Path | None = None
    stage: int | None = None

    @property
    def name(self) -> str:
        """What the model is called; a tuned one also by its file."""
        return self.card.name if self.changes is None else f"{self.card.name}+{self.changes.stem}"

    @property
    def encoder(self) -> EncoderSpec | None:
        """The sizes of the encoder; None for a model that is a generator only."""
        spec = self.parts["encoder"].encoder if "encoder" in self.parts else None
        return spec if spec is None or self.stage is None else replace(spec, stage=self.stage)

    @property
    def generator(self) -> GeneratorSpec:
        """The sizes of the generator."""
        spec = self.parts["generator"].generator
        assert spec is not None  # locate() takes no lender without one
        return spec

    @cached_property
    def hashes(self) -> dict[Role, str]:
        """sha256 of every file, by role; IntegrityError where one is not what was installed."""
        return self.verify()

    @property
    def weights_sha256(self) -> dict[str, str]:
        """The hashes as recipes hold them."""
        changes = {} if self.changes is None else {"changes": sha256_file(self.changes)}
        return {**{str(role): value for role, value in self.hashes.items()}, **changes}

    @property
    def checked_files(self) -> Mapping[Role, Path]:
        """The files, once their hashes were compared; IntegrityError where one is not what was installed."""
        _ = self.hashes
        return self.files

    def verify(self, *, fresh: bool = False) -> dict[Role, str]:
        """The same; ``fresh`` hashes the bytes again where their size and time say that nothing has changed."""
        return {
            role: check_sha256(self.parts[role], lent_file(role), path, fresh=fresh)
            for role, path in self.files.items()
        }


def resolve(card: Card) -> InstalledModel:
    """The installed model of a card; MissingError while a file is absent, UsageError for a lender that is none."""
    model = locate(card)
    if model is None:
        raise MissingError(f"the model {card.name} is not installed", f"see p2s2p models show {card.name}")
    return model


def locate(card: Card) -> InstalledModel | None:
    """The installed model of a card, None while a file is absent; UsageError for a lender that is none."""
    parts = {role: lender_of(card, role) for role in (*card.roles, *card.borrowed)}
    found = {owner.folder: _own_files(owner) for owner in parts.values()}
    files: dict[Role, Path] = {}
    for role, owner in parts.items():
        own = found[owner.folder]
        if own is None:
            return None
        files[role] = own[role if owner is card else lent_file(role)]
    return InstalledModel(card=card, parts=parts, files=files)


def lent_file(role: Role) -> Role:
    """The file of a lender in which a role is found: the heads that one model lends to another are in its encoder."""
    return "encoder" if role == "heads" else role


def lender_of(card: Card, role: Role) -> Card:
    """The card that a network comes from: the model's own, or one that it names, beside it or by that name."""
    name = card.borrowed.get(role)
    if name is None:
        return card
    try:
        beside = card.folder.parent / name
        other = load_card(beside) if (beside / CARD_FILE).is_file() else find_named(name)
    except MissingError as error:
        raise UsageError(
            f"the card {card.name} takes its {role} from {name}, which does not exist",
            f"correct {role}_model in {card.folder / CARD_FILE}",
        ) from error
    if lent_file(role) not in other.roles:
        raise UsageError(
            f"the card {card.name} takes its {role} from {other.name}, which has none",
            f"correct {role}_model in the card",
        )
    return other


def _own_files(card: Card) -> dict[Role, Path] | None:
    """Files of the card's own roles: beside the card, else where an import puts them."""
    for folder in (card.folder, install_folder(card.name)):
        files: dict[Role, Path] = {}
        for role in card.roles:
            weight = card.weight(role)
            files[role] = folder / (weight.file if weight else f"{role}.safetensors")
        if all(is_readable_file(path) for path in files.values()):
            return files
    return None
