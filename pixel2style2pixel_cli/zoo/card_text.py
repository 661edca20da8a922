"""A card as the text of a `model.toml`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from pixel2style2pixel_cli.zoo.cards import PASSES, Card

# Fields of a card that are written only where they say something else than usual.
INVERSION = {"optimize": 0, "optimize_size": 0, "optimize_whole": 0, "passes": PASSES}


def card_text(card: Card) -> str:
    """The card as TOML; what it says of published files is left out, since it speaks of a model that is there."""
    top: dict[str, object] = {
        "name": card.name,
        "title": card.title,
        "tasks": list(card.tasks),
        "rank": card.rank,
        "licence": card.licence,
        "commercial_ok": card.commercial_ok,
    }
    if not card.auto:
        top["auto"] = False
    top |= {f"{role}_model": name for role, name in card.borrowed.items()}
    rule: dict[str, object] = {"kind": card.input.kind, "align": card.input.align}
    if card.input.schema:
        rule["schema"] = card.input.schema
    tables: dict[str, Mapping[str, object]] = {
        "spec.encoder": {} if card.encoder is None else dataclasses.asdict(card.encoder),
        "spec.generator": {} if card.generator is None else dataclasses.asdict(card.generator),
        "spec.recogniser": {} if card.recogniser is None else dataclasses.asdict(card.recogniser),
        "input": rule if card.recogniser is None else {},
        "mixing": {"layers": card.mixing_layers} if card.recogniser is None else {},
        "invert": {key: value for key, usual in INVERSION.items() if (value := getattr(card, key)) != usual},
    }
    parts = ["\n".join(_lines(top))]
    parts += ["\n".join([f"[{name}]", *_lines(table)]) for name, table in tables.items() if table]
    heads = card.weight("heads")
    if heads is not None:
        parts.append("\n".join(["[[weights]]", *_lines({"role": "heads", "file": heads.file})]))
    return "\n\n".join(parts) + "\n"


def _lines(table: Mapping[str, object]) -> list[str]:
    # JSON's texts, numbers, booleans and lists are also TOML's, once non-ASCII letters are left as they are.
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
