"""Where model cards and installed weights lie, and which model a task takes."""

from __future__ import annotations

import difflib
import os
import shutil
import tomllib
from pathlib import Path

from pixel2style2pixel_cli.errors import MissingError, OutputError, P2S2PError, UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent, ignore_event
from pixel2style2pixel_cli.zoo.cards import CARD_FILE, Card, Role, WeightFile, load_card

PACKAGE_FOLDER = Path(__file__).resolve().parent.parent
DISTRIBUTION = "pixel2style2pixel-cli"
SPARE_BYTES = 16 << 20


def zoo_folder() -> Path:
    """The folder of model cards: P2S2P_ZOO, else `_models` in the package (a wheel), else `models` of a checkout."""
    chosen = os.environ.get("P2S2P_ZOO")
    if chosen:
        folder = Path(chosen).expanduser()
        if not folder.is_dir():
            raise UsageError(
                f"P2S2P_ZOO is {chosen}, which is not a folder", "unset P2S2P_ZOO or name a folder of cards"
            )
        return folder
    installed = PACKAGE_FOLDER / "_models"
    if installed.is_dir():
        return installed
    checkout = PACKAGE_FOLDER.parent / "models"
    if checkout.is_dir() and _is_our_checkout(PACKAGE_FOLDER.parent):
        return checkout
    raise MissingError(
        f"no model cards beside the package at {PACKAGE_FOLDER}",
        f"reinstall {DISTRIBUTION}, or set P2S2P_ZOO to a folder of cards",
    )


def _is_our_checkout(folder: Path) -> bool:
    """Whether `folder` is this project's source tree, not some site-packages with a `models` in it."""
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False
    return bool(project.get("name") == DISTRIBUTION)


def home_folder() -> Path:
    """Where imported models and caches live: P2S2P_HOME, else the platform's cache folder. It may not exist yet."""
    chosen = os.environ.get("P2S2P_HOME")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("p2s2p", appauthor=False))


def require_space(folder: Path, needed: int) -> None:
    """Raise OutputError unless ``needed`` bytes and a little more are free where ``folder`` lies."""
    free, needed = shutil.disk_usage(folder).free, needed + SPARE_BYTES
    if free < needed:
        raise OutputError(
            f"{folder} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed",
            "free some space, or set P2S2P_HOME to a folder on another disk",
        )


def install_folder(name: str) -> Path:
    """Where the converted weights of the model ``name`` are put."""
    return home_folder() / "models" / name


def list_cards(on_event: OnEvent = ignore_event) -> tuple[Card, ...]:
    """All cards, best rank first: the zoo's and the user's own; a broken one of the user's is reported and left out."""
    cards = {folder.name: load_card(folder) for folder in _card_folders(zoo_folder())}
    for folder in _card_folders(home_folder() / "models"):
        if folder.name in cards:
            continue
        try:
            cards[folder.name] = load_card(folder)
        except P2S2PError as error:
            on_event(Notice(message=f"ignored: {error.message}", level="warning"))
    return tuple(sorted(cards.values(), key=lambda card: (-card.rank, card.name)))


def _card_folders(parent: Path) -> list[Path]:
    """Sub-folders that hold a card, in name order."""
    if not parent.is_dir():
        return []
    return sorted(entry for entry in parent.iterdir() if (entry / CARD_FILE).is_file())


def find_card(name_or_path: str) -> Card:
    """The card of a zoo model, of a model the user imported, or at a path to a `model.toml` or its folder."""
    path = Path(name_or_path).expanduser()
    if path.name == CARD_FILE:
        return load_card(path.parent)
    if "/" in name_or_path or os.sep in name_or_path:
        return load_card(path)
    for parent in (zoo_folder(), home_folder() / "models"):
        if (parent / name_or_path / CARD_FILE).is_file():
            return load_card(parent / name_or_path)
    names = [card.name for card in list_cards()]
    near = difflib.get_close_matches(name_or_path, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise MissingError(f"no model is called {name_or_path!r}", f"{hint}known models: {', '.join(names) or 'none'}")


def installed_files(card: Card) -> dict[Role, Path] | None:
    """The safetensors files by role, or None while one is absent; those of another model are looked up in its card."""
    files = _own_files(card)
    if files is None:
        return None
    for role in card.borrowed:
        shared, lent = _own_files(owner_of(card, role)), lent_file(role)
        if shared is None or lent not in shared:
            return None
        files[role] = shared[lent]
    return files


def lent_file(role: Role) -> Role:
    """The file of the lender in which a role is found: heads are part of an encoder."""
    return "encoder" if role == "heads" else role


def owner_of(card: Card, role: Role) -> Card:
    """The card that a network of this model comes from: its own, or one it names (beside it, else by name)."""
    named = card.borrowed.get(role)
    if named is None:
        return card
    beside = card.folder.parent / named
    other = load_card(beside) if (beside / CARD_FILE).is_file() else find_card(named)
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
        if all(path.is_file() for path in files.values()):
            return files
    return None


def choose_model(task: str, name: str = "auto") -> Card:
    """The model a task runs with: ``auto`` is the best installed one by rank, ``mini`` the bundled one, else a name."""
    if name in ("auto", "mini"):
        wanted = [card for card in list_cards() if task in card.tasks]
        cards = [card for card in wanted if (card.auto if name == "auto" else card.bundled)]
        for card in cards:
            if installed_files(card) is not None:
                return card
        raise MissingError(
            f"no installed model can {task}", how_to_install(cards[0]) if cards else "see p2s2p models list"
        )
    card = find_card(name)
    if task not in card.tasks:
        able = [other.name for other in list_cards() if task in other.tasks]
        raise UsageError(
            f"the model {card.name} cannot {task}; it does: {', '.join(card.tasks) or 'nothing by itself'}",
            f"models for {task}: {', '.join(able) or 'none'}",
        )
    if installed_files(card) is None:
        raise MissingError(f"the model {card.name} is not installed", how_to_install(card))
    return card


def how_to_install(card: Card) -> str:
    """What to type, and what to fetch first where no program may, in one sentence."""
    weight = card.weight("checkpoint")
    if weight is None:
        return f"put its weights into {install_folder(card.name)}, or reinstall {DISTRIBUTION} if it should be bundled"
    by_hand = how_to_import(card, weight)
    return f"type: p2s2p models pull {card.name}; or {by_hand}" if weight.fetchable else by_hand


def how_to_import(card: Card, weight: WeightFile) -> str:
    """How the published file is fetched by hand and installed, in half a sentence."""
    # Google Drive last in every card, and the one place that only people can reach: never cut off
    drive = [source for source in weight.sources if source.kind == "gdrive"]
    shown = [*[source for source in weight.sources if source.kind != "gdrive"][:1], *drive[:1]]
    links = " or ".join(source.link for source in shown) or "its publisher"
    digest = f" (sha256 {weight.sha256})" if weight.sha256 else ""
    return f"fetch {weight.file}{digest} from {links}, then type: p2s2p models import {card.name} {weight.file}"
