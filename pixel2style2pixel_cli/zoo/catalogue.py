"""What is known of the models, as rows and fields: for tables, JSON and pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.zoo.cards import Card
from pixel2style2pixel_cli.zoo.find import find_card, installed_files, list_cards
from pixel2style2pixel_cli.zoo.verify import verify_installed


def model_rows() -> list[dict[str, Any]]:
    """One row per model card, best rank first."""
    rows = []
    for card in list_cards():
        files = installed_files(card)
        rows.append(
            {
                "name": card.name,
                "title": card.title,
                "tasks": list(card.tasks),
                "installed": files is not None,
                "bundled": card.bundled,
                "licence": card.licence,
                "commercial_ok": card.commercial_ok,
                "size": sum(path.stat().st_size for path in files.values()) if files else _published_size(card),
            }
        )
    return rows


def card_fields(name: str) -> dict[str, Any]:
    """The card of one model, and where its files are installed."""
    card = find_card(name)
    files = installed_files(card)
    return {
        "name": card.name,
        "title": card.title,
        "tasks": list(card.tasks),
        "rank": card.rank,
        "auto": card.auto,
        "licence": card.licence,
        "commercial_ok": card.commercial_ok,
        "bundled": card.bundled,
        "encoder": card.encoder or card.encoder_model,
        "generator": card.generator or card.generator_model,
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
        "installed": {role: str(path) for role, path in files.items()} if files else None,
        "measured": card.measured,
    }


def verified(names: Sequence[str]) -> list[tuple[str, bool, str]]:
    """Hash the files of the named models, or of all installed ones: (name, whether they are right, what was found)."""
    cards = [find_card(name) for name in names] or [c for c in list_cards() if installed_files(c) is not None]
    results = []
    for card in cards:
        try:
            hashes = verify_installed(card, fresh=True)
        except P2S2PError as error:
            results.append((card.name, False, error.message))
            continue
        results.append((card.name, True, ", ".join(f"{role} {value[:12]}" for role, value in hashes.items())))
    return results


def _published_size(card: Card) -> int | None:
    sizes = [weight.size for weight in card.weights if weight.size is not None]
    return sum(sizes) if sizes else None
