"""Which model a task takes, and what to type where it has none."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pixel2style2pixel_cli.errors import MissingError, P2S2PError, UsageError, in_one_line
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.weights.changes import CHANGES_SUFFIX, read_changes_header
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.zoo.cards import CARD_FILE, Card, WeightFile, load_card
from pixel2style2pixel_cli.zoo.find import DISTRIBUTION, card_folders, entries, find_card, install_folder, list_cards
from pixel2style2pixel_cli.zoo.resolve import InstalledModel, locate

_CHECKPOINT = re.compile(r'^\s*role\s*=\s*"checkpoint"', re.MULTILINE)


def choose_model(task: str, name: str = "auto") -> InstalledModel:
    """The model a task runs with: ``auto`` is the best installed one by rank, ``mini`` the bundled one, else a name.

    A file of ``p2s2p tune`` is the model for this task whose generator it changes.
    """
    if name in ("auto", "mini"):
        return _choose_installed(task, bundled=name == "mini")
    if Path(name).suffix.lower() == CHANGES_SUFFIX:
        return _choose_tuned(task, Path(name).expanduser())
    card = find_card(name)
    if task not in card.tasks:
        able = [other.name for other in list_cards() if task in other.tasks]
        raise UsageError(
            f"the model {card.name} cannot {task}; it does: {', '.join(card.tasks) or 'nothing by itself'}",
            f"models for {task}: {', '.join(able) or 'none'}",
        )
    model = locate(card)
    if model is None:
        raise MissingError(f"the model {card.name} is not installed", how_to_install(card))
    return model


def require_model(name: str) -> None:
    """Raise unless there is a model of this name, or a file of changes at this path."""
    if Path(name).suffix.lower() == CHANGES_SUFFIX:
        read_changes_header(Path(name).expanduser())
    else:
        find_card(name)


def find_model(name: str) -> Card:
    """The card of a name or path, where ``mini`` is the bundled model that inverts."""
    if name != "mini":
        return find_card(name)
    return _choose_installed("invert", bundled=True).card


def installed_models(task: str, *, bundled: bool = False) -> Iterator[InstalledModel]:
    """The installed models that ``auto`` may take for a task, or the bundled ones, best rank first.

    A card with a fault, or with a faulty lender, is as good as absent: ``models list`` says what is wrong with it.
    """
    cards = [card for folder in card_folders() if _may_be_installed(folder) and (card := _sound(folder)) is not None]
    for card in sorted(cards, key=lambda card: (-card.rank, card.name)):
        if _is_able(card, task, bundled):
            model = _sound_model(card)
            if model is not None:
                yield model


def _choose_tuned(task: str, path: Path) -> InstalledModel:
    header = read_changes_header(path)
    for model in _candidates(task, header.model):
        if read_weight_header(model.files["generator"]).digest == header.generator:
            return replace(model, changes=path)
    raise MissingError(
        f"{display(path)} changes generator {header.generator[:12]} (of {in_one_line(header.model)}), and no installed "
        f"model for {task} draws with it",
        "install the model that it was tuned with, or tune again",
    )


def _candidates(task: str, first: str) -> Iterator[InstalledModel]:
    """The model of a name, where it is installed and does the task, then all others that do."""
    with contextlib.suppress(P2S2PError):
        yield choose_model(task, first)
    for card in list_cards():
        if task in card.tasks and (model := _sound_model(card)) is not None:
            yield model


def _sound_model(card: Card) -> InstalledModel | None:
    try:
        return locate(card)
    except P2S2PError:
        return None


def _choose_installed(task: str, *, bundled: bool) -> InstalledModel:
    for model in installed_models(task, bundled=bundled):
        return model
    absent = [card for card in list_cards() if _is_able(card, task, bundled)]
    hint = how_to_install(absent[0]) if absent else "see p2s2p models list"
    raise MissingError(f"no installed model can {task}", hint)


def _is_able(card: Card, task: str, bundled: bool) -> bool:
    return task in card.tasks and (card.bundled if bundled else card.auto)


def _sound(folder: Path) -> Card | None:
    try:
        return load_card(folder)
    except P2S2PError:
        return None


def _may_be_installed(folder: Path) -> bool:
    """Whether a card is worth reading: a published model without a weight file anywhere is not installed."""
    places = (folder, install_folder(folder.name))
    if any(path.suffix == ".safetensors" for place in places for path in entries(place)):
        return True
    try:
        return not _CHECKPOINT.search((folder / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return False


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
