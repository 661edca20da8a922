"""What is known of the models, as rows and fields: for tables, JSON and pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.zoo.cards import Card
from pixel2style2pixel_cli.zoo.choose import find_model
from pixel2style2pixel_cli.zoo.directions import direction_files, generator_digest
from pixel2style2pixel_cli.zoo.find import find_card, read_cards
from pixel2style2pixel_cli.zoo.resolve import InstalledModel, locate, resolve


def model_rows() -> list[dict[str, Any]]:
    """One row per model card, best rank first, and last the cards that cannot be read; ``error`` says what is wrong."""
    cards, broken = read_cards()
    rows = []
    for card in cards:
        model, error = _located(card)
        row = {
            "name": card.name,
            "title": card.title,
            "tasks": list(card.tasks),
            "installed": model is not None,
            "bundled": card.bundled,
            "licence": card.licence,
            "commercial_ok": card.commercial_ok,
            "size": sum(path.stat().st_size for path in model.files.values()) if model else _published_size(card),
        }
        rows.append(row if error is None else {**row, "error": error})
    for name, wrong in sorted(broken.items()):
        rows.append(
            {
                "name": name, "title": "", "tasks": [], "installed": False, "bundled": False, "licence": "",
                "commercial_ok": False, "size": None, "error": wrong.message,
            }
        )  # fmt: skip
    return rows


def card_fields(name: str) -> dict[str, Any]:
    """The card of one model, and where its files are installed."""
    card = find_model(name)
    model = locate(card)
    return {
        "name": card.name,
        "title": card.title,
        "tasks": list(card.tasks),
        "rank": card.rank,
        "auto": card.auto,
        "licence": card.licence,
        "commercial_ok": card.commercial_ok,
        "bundled": card.bundled,
        "encoder": card.encoder_model if card.encoder is None else dataclasses.asdict(card.encoder),
        "generator": card.generator_model if card.generator is None else dataclasses.asdict(card.generator),
        **({} if card.recogniser is None else {"recogniser": dataclasses.asdict(card.recogniser)}),
        "input": f"{card.input.kind}, aligned: {card.input.align}",
        "weights": [
            {
                "role": w.role,
                "file": w.file,
                "sha256": w.sha256,
                "size": w.size,
                "grade": w.grade,
                "sources": [source.link for source in w.sources],
            }
            for w in card.weights
        ],
        "installed": {role: str(path) for role, path in model.files.items()} if model else None,
        "directions": _directions_of(model) if model and "generator" in model.files else None,
        "measured": card.measured,
    }


def verified(names: Sequence[str]) -> list[tuple[str, bool, str]]:
    """Hash the files of the named models, or of all installed ones: (name, whether they are right, what was found)."""
    cards, broken = ([find_card(name) for name in names], {}) if names else read_cards()
    results = []
    for card in cards:
        try:
            model = resolve(card) if names else locate(card)
            hashes = None if model is None else model.verify(fresh=True)
        except P2S2PError as error:
            results.append((card.name, False, error.message))
            continue
        if hashes is not None:
            results.append((card.name, True, ", ".join(f"{role} {value[:12]}" for role, value in hashes.items())))
    return results + [(name, False, error.message) for name, error in sorted(broken.items())]


def _located(card: Card) -> tuple[InstalledModel | None, str | None]:
    try:
        return locate(card), None
    except P2S2PError as error:
        return None, error.message


def _directions_of(model: InstalledModel) -> list[str]:
    """The names that ``edit`` knows; none of a generator whose file is damaged, which its use tells."""
    try:
        return sorted(direction_files(generator_digest(model)))
    except P2S2PError:
        return []


def _published_size(card: Card) -> int | None:
    sizes = [weight.size for weight in card.weights if weight.size is not None]
    return sum(sizes) if sizes else None
