"""Published weights from their source to an installed model, and an installed model gone again."""

from __future__ import annotations

from pathlib import Path

from pixel2style2pixel_cli.errors import IntegrityError, MissingError, OutputError, UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent, ignore_event
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.install.adopt import import_checkpoint
from pixel2style2pixel_cli.install.store import NAME_PATTERN, Imported, uninstall
from pixel2style2pixel_cli.zoo.auxiliary import Network
from pixel2style2pixel_cli.zoo.cards import Card
from pixel2style2pixel_cli.zoo.choose import how_to_install
from pixel2style2pixel_cli.zoo.download import discard, discard_rest, fetch_weight, hold, require_source
from pixel2style2pixel_cli.zoo.find import find_card, install_folder
from pixel2style2pixel_cli.zoo.licences import Ask, require_licence
from pixel2style2pixel_cli.zoo.resolve import locate
from pixel2style2pixel_cli.zoo.verify import INSTALL_RECORD


def pull_model(
    card: Card,
    *,
    accept_licence: bool = False,
    offline: bool = False,
    ask: Ask | None = None,
    on_event: OnEvent = ignore_event,
) -> Imported | None:
    """Fetch, check, convert and install a model's published file; None where the model is installed already.

    The fetched original is deleted once its converted copy is in place. Raises MissingError where the file cannot be
    had or its licence is not accepted, IntegrityError where it is not what it should be, OutputError without room.
    """
    if locate(card) is not None:
        on_event(Notice(message=f"{card.name} is {'bundled' if card.bundled else 'installed'} already"))
        discard_rest(card.weight("checkpoint"))
        return None
    weight = card.weight("checkpoint")
    if weight is None:
        raise MissingError(f"the card of {card.name} names no published file", how_to_install(card))
    require_source(card, weight, offline=offline)
    require_licence(card, weight, accepted=accept_licence, ask=ask, on_event=on_event)
    with hold(weight):
        if locate(card) is not None:  # by another process, a moment ago
            return None
        file = fetch_weight(card, weight, offline=offline, on_event=on_event)
        done = import_checkpoint(card, file, install_folder(card.name), on_event)
        discard(weight)
    return done


def pull_network(
    network: Network,
    *,
    accept_licence: bool = False,
    offline: bool = False,
    ask: Ask | None = None,
    on_event: OnEvent = ignore_event,
) -> bool:
    """Fetch and check the file of a network that losses look through; False where it is here already.

    Raises MissingError, IntegrityError and OutputError as ``pull_model`` does.
    """
    card, weight = network.card, network.weight
    if network.path.is_file():
        on_event(Notice(message=f"{network.name} is installed already"))
        return False
    link = weight.sources[0].link
    by_hand = f"fetch {link} and put it there: {display(network.path)}"
    try:
        require_source(card, weight, offline=offline)
    except MissingError as error:  # whose hint is about files of models
        raise MissingError(error.message, by_hand) from error
    require_licence(card, weight, accepted=accept_licence, ask=ask, on_event=on_event)
    try:
        with hold(weight):
            if network.path.is_file():  # by another process, a moment ago
                return False
            _move(fetch_weight(card, weight, offline=offline, on_event=on_event), network.path)
            discard(weight)
    except (MissingError, IntegrityError) as error:
        raise type(error)(error.message, f"type the same again later, or {by_hand}") from error
    return True


def _move(file: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
    except OSError as error:
        raise OutputError(
            f"{display(target)} cannot be written: {error.strerror or error}",
            "free some space, or set P2S2P_HOME to a folder that can be written",
        ) from error


def check_removable(name: str) -> None:
    """Raise UsageError for a bundled model, MissingError for one that no import installed."""
    if NAME_PATTERN.fullmatch(name) and (install_folder(name) / INSTALL_RECORD).is_file():
        return
    card = find_card(name)
    if card.bundled:
        raise UsageError(f"{card.name} is bundled with the program", "only models that were imported can be removed")
    raise MissingError(f"the model {card.name} is not installed", "p2s2p models list says which are")


def remove_model(name: str) -> int:
    """Remove what an import installed under ``name``; returns the bytes that this freed."""
    check_removable(name)
    return uninstall(install_folder(name))
