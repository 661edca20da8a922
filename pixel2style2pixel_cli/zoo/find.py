"""Where model cards and installed weights lie."""

from __future__ import annotations

import difflib
import os
import shutil
import tomllib
from pathlib import Path

from pixel2style2pixel_cli.errors import MissingError, OutputError, P2S2PError, UsageError, shown_value
from pixel2style2pixel_cli.zoo.cards import CARD_FILE, Card, load_card
from pixel2style2pixel_cli.zoo.recover import recover_models

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
        try:
            return Path(chosen).expanduser()
        except RuntimeError as error:
            raise UsageError(f"P2S2P_HOME is {chosen}, and nobody has that home folder", "give a full path") from error
    import platformdirs

    try:
        found = Path(platformdirs.user_cache_dir("p2s2p", appauthor=False))
    except RuntimeError:  # no HOME, and a user without a name, as in some containers
        found = Path("~")
    return found if found.is_absolute() else Path(os.sep, ".cache", "p2s2p")  # as with HOME=/


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


def list_cards() -> tuple[Card, ...]:
    """All sound cards, best rank first: the zoo's, and those of models that the user imported."""
    return read_cards()[0]


def read_cards() -> tuple[tuple[Card, ...], dict[str, P2S2PError]]:
    """All sound cards, best rank first, and what is wrong with each of the others, by the name of its folder.

    A broken card costs nobody else anything. Where two have one name, the zoo's comes before the user's.
    """
    cards: dict[str, Card] = {}
    broken: dict[str, P2S2PError] = {}
    for folder in card_folders():
        try:
            cards[folder.name] = load_card(folder)
        except P2S2PError as error:
            broken[folder.name] = error
    return tuple(sorted(cards.values(), key=lambda card: (-card.rank, card.name))), broken


def card_folders() -> list[Path]:
    """Folders that hold a card, one a name: those of the zoo, then the user's, each in the order of their names."""
    found: dict[str, Path] = {}
    for parent in _parents():
        for entry in entries(parent):
            if entry.name not in found and is_readable_file(entry / CARD_FILE):
                found[entry.name] = entry
    return list(found.values())


def is_readable_file(path: Path) -> bool:
    """Whether a file is there; a folder that may not be looked into, as another user's home, counts as empty."""
    return os.path.isfile(path)  # noqa: PTH113 - pathlib's raises where the folder is closed to us


def entries(folder: Path) -> list[Path]:
    """What is in a folder, in the order of the names; nothing where it is absent or closed to us."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def find_card(name_or_path: str) -> Card:
    """The card of a model by its name, or at a path to a `model.toml` or its folder, such as that of a training run."""
    path = Path(name_or_path).expanduser()
    if path.name == CARD_FILE:
        return load_card(path.parent, any_name=True)
    if "/" in name_or_path or os.sep in name_or_path:
        return load_card(path, any_name=True)
    try:
        return find_named(name_or_path)
    except MissingError:
        if (path / CARD_FILE).is_file():
            return load_card(path, any_name=True)
        raise


def find_named(name: str) -> Card:
    """The card of a zoo model, or of a model that the user imported; MissingError lists the names there are."""
    for parent in _parents():
        if is_readable_file(parent / name / CARD_FILE):
            return load_card(parent / name)
    names = [card.name for card in list_cards()]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise MissingError(f"no model is called {shown_value(name)}", f"{hint}known models: {', '.join(names) or 'none'}")


def _parents() -> tuple[Path, Path]:
    """Where folders with cards lie: the zoo, and what the user imported, made whole where a process was killed."""
    own = home_folder() / "models"
    recover_models(own)
    return zoo_folder(), own
