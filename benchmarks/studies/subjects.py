"""Faces and what is none: loss, distance from the average code, what lies between two (Image2StyleGAN, section 3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from identity import Descriptor

from studies.common import Study, distance, error

BETWEEN = 5  # pictures of a way


def run(study: Study) -> list[dict[str, Any]]:
    """One row a kind: error and distance from the average code, and on the way between two how sharp and how face-like.

    A picture half-way between two codes is compared with the mean of the two pictures: where the way leads through
    pictures of its kind, it has the contrast of one; where it does not, it fades to something else.
    """
    subjects, average, describe = study.subjects, study.average, Descriptor()
    kinds = {
        "renders": list(subjects.renders),
        "photograph": [subjects.photo],
        "things": list(subjects.things.values()),
    }
    rows: list[dict[str, Any]] = []
    for kind, pictures in kinds.items():
        found = study.embed(pictures)
        row: dict[str, Any] = {
            "kind": kind,
            "pictures": len(pictures),
            "MSE": float(np.mean([error(each.array, target) for each, target in zip(found, pictures, strict=True)])),
            "distance from the average code": float(np.mean([distance(each.codes, average) for each in found])),
        }
        pairs = list(zip(found, [*found[1:], found[0]], strict=True)) if len(found) > 1 else []
        middles = []
        for first, second in pairs:
            way = study.session.morph([first, second], steps=BETWEEN)
            middles.append(way[BETWEEN // 2].array)
            if len(study.rows) < 8 and kind != "photograph":
                study.rows.append([each.array for each in way])
        if pairs:
            ends = [[each.array.std() for each in pair] for pair in pairs]
            row["contrast half-way, of that of the ends"] = float(
                np.mean([m.std() / np.mean(e) for m, e in zip(middles, ends, strict=True)])
            )
            row["face found at the ends"] = float(np.mean([describe(each.array) is not None for each in found]))
            row["face found half-way"] = float(np.mean([describe(middle) is not None for middle in middles]))
        rows.append(row)
    study.captions = ("one", "0.25", "half-way", "0.75", "the other")
    return rows
