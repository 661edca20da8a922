"""Directions for edits that come with a generator, or are installed for it: found by their names, and read."""

from __future__ import annotations

import difflib
from pathlib import Path

from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.weights.directions import DIRECTION_FOLDER, DIRECTION_SUFFIX, DirectionFile, load_direction
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.zoo.find import card_folders, entries, install_folder
from pixel2style2pixel_cli.zoo.resolve import InstalledModel


def generator_digest(installed: InstalledModel) -> str:
    """The digest of the generator that a model draws with, without loading it."""
    return read_weight_header(installed.files["generator"]).digest


def direction_files(digest: str) -> dict[str, Path]:
    """The directions of a generator by name: those beside any card of the zoo that are made for it.

    A file that cannot be read is left out here; naming it says what is wrong with it.
    """
    found: dict[str, Path] = {}
    for path in _shipped():
        if path.stem in found:
            continue
        try:
            if digest in load_direction(path).generators:
                found[path.stem] = path
        except InputError:
            continue
    return found


def find_direction(name: str, digest: str) -> DirectionFile:
    """A direction by its name, or of the file at a path, for the generator of this digest.

    Raises UsageError where there is none, or where it was made for another generator.
    """
    path = Path(name).expanduser()
    if path.suffix.lower() != DIRECTION_SUFFIX:
        known = direction_files(digest)
        if name not in known:
            raise _unknown(name, known)
        path = known[name]
    direction = load_direction(path)
    if digest not in direction.generators:
        made_for = " or ".join(each[:12] for each in direction.generators)
        raise UsageError(
            f"the direction {display(path)} was made for generator {made_for}, and this model has {digest[:12]}",
            "name a direction of this model, or learn it again: p2s2p edit learn",
        )
    return direction


def _shipped() -> list[Path]:
    folders = [place for card in card_folders() for place in (card, install_folder(card.name))]
    return [
        path
        for folder in dict.fromkeys(folders)
        for path in entries(folder / DIRECTION_FOLDER)
        if path.suffix == DIRECTION_SUFFIX
    ]


def _unknown(name: str, known: dict[str, Path]) -> UsageError:
    if any(path.stem == name for path in _shipped()):
        message = f"the direction {name!r} was made for other generators than that of this model"
    else:
        message = f"no direction is called {name!r}"
    near = difflib.get_close_matches(name, known, n=1)
    guess = f"did you mean {near[0]}? " if near else ""
    listed = ", ".join(sorted(known)) or "none is shipped with this generator"
    return UsageError(message, f"{guess}known: {listed}; always: sefa:0, pca:0, or a file that ends in .safetensors")
