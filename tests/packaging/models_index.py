"""Writes models/README.md from the cards: ``PYTHONPATH=. python tests/packaging/models_index.py``; a test compares."""

from __future__ import annotations

from pathlib import Path

from pixel2style2pixel_cli.zoo.cards import CARD_FILE, load_card

MODELS = Path(__file__).resolve().parents[2] / "models"

HEAD = """# Models

Generated from the cards by `python tests/packaging/models_index.py`; a test compares the two.

Each model has a folder: `model.toml` is its card, `README.md` says what it was trained on and what it cannot do.
Bundled models include their weights. `p2s2p models pull NAME` downloads, checks and installs the others; where that is
not possible ("by hand"), download the file yourself and type `p2s2p models import NAME FILE`.

| Model | What it is | Tasks | Weights | Licence | Commercial use |
| --- | --- | --- | --- | --- | --- |
"""


def models_index() -> str:
    """The page, best rank first."""
    cards = [load_card(path.parent) for path in MODELS.glob(f"*/{CARD_FILE}")]
    rows = []
    for card in sorted(cards, key=lambda card: (-card.rank, card.name)):
        published = card.weight("checkpoint")
        weights = "bundled" if card.bundled else "pull" if published and published.fetchable else "by hand"
        commercial = "yes" if card.commercial_ok else "no"
        tasks = ", ".join(card.tasks) or "-"
        cells = [f"[{card.name}]({card.name}/README.md)", card.title, tasks, weights, card.licence, commercial]
        rows.append(f"| {' | '.join(cells)} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    (MODELS / "README.md").write_text(models_index(), encoding="utf-8")
