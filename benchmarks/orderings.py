"""What was published about methods of inversion, held against a comparison: which orderings hold and which do not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

Rows = Mapping[str, Mapping[str, Any]]

# Squared error from the largest to the smallest (Roich et al. 2022, Tov et al. 2021, Richardson et al. 2021).
DISTORTION = ("W optimisation", "e4e", "pSp", "W+ optimisation", "pSp + PTI")
# Seconds a picture, as multiples of pSp's (Alaluf et al. 2021; Mao et al. 2022).
TIMES = {"ReStyle": 3.7, "Cycle + refinement": 290.0, "Cycle + PTI": 1440.0}
# Who edits better than whom (Tov et al. 2021, Mao et al. 2022).
EDITS = (("e4e", "pSp"), ("Cycle", "pSp"), ("e4e", "pSp + PTI"), ("Cycle", "pSp + PTI"))
# Beyond the lists: what each method was made for.
SMALLER = (("ReStyle", "pSp"), ("Cycle + refinement", "Cycle"), ("Cycle + PTI", "Cycle + refinement"))


def judged(rows: Rows) -> list[str]:
    """One sentence a statement, for the methods that were measured."""
    found = [*_distortion(rows), *_edits(rows), *_times(rows)]
    return found or ["No two methods of a published ordering were measured."]


def _distortion(rows: Rows) -> list[str]:
    """Errors on the pictures that every method was run on."""
    measured = [name for name in DISTORTION if name in rows]
    pairs = [*itertools.pairwise(measured)]
    pairs += [(worse, better) for better, worse in SMALLER if better in rows and worse in rows]
    return [_statement(rows, worse, better, "mse_few", "squared error") for worse, better in pairs]


def _edits(rows: Rows) -> list[str]:
    found = []
    for better, worse in EDITS:
        if better not in rows or worse not in rows:
            continue
        for key, what in (("lec", "LEC"), ("kept", "dlib's distance after edits of equal effect")):
            if rows[better].get(key) is not None and rows[worse].get(key) is not None:
                found.append(_statement(rows, worse, better, key, what))
    return found


def _times(rows: Rows) -> list[str]:
    if "pSp" not in rows:
        return []
    alone = rows["pSp"]["seconds"]
    return [
        f"Time of {name} as a multiple of pSp's: published {published:g}, here {rows[name]['seconds'] / alone:.3g}."
        for name, published in TIMES.items()
        if name in rows
    ]


def _statement(rows: Rows, worse: str, better: str, key: str, what: str) -> str:
    """Whether the published better one has the smaller number."""
    a, b = rows[worse][key], rows[better][key]
    verdict = "holds" if b < a else "does not hold"
    return f"{verdict.capitalize()}: {what} of {better} below that of {worse} ({b:.3g}, {a:.3g})."
