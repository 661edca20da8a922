"""Which space is wide enough: Z, W and W+, and noise maps after it (Image2StyleGAN, section 3.1; Image2StyleGAN++)."""

from __future__ import annotations

from typing import Any

import numpy as np
from identity import Descriptor, distances

from studies.common import Study, decibels, distance, error

WAYS: dict[str, dict[str, Any]] = {
    "Z": {"space": "z"},
    "W": {"space": "w"},
    "W+": {},
    "W+ and noise": {"noise_steps": 100, "noise_weight": 0.0, "noise_rate": 0.1},
}


def run(study: Study) -> list[dict[str, Any]]:
    """One row a space: error, dlib's distance, distance from the average code, seconds a picture."""
    named = study.subjects.faces
    pictures = [picture for _, picture in named]
    describe, average = Descriptor(), study.average
    rows, drawn = [], []
    for name, options in WAYS.items():
        found = study.embed(pictures, **options)
        errors = [error(each.array, picture) for each, picture in zip(found, pictures, strict=True)]
        likeness = distances(describe, pictures, [each.array for each in found])
        rows.append(
            {
                "space": name,
                "MSE of renders": float(np.mean(errors[:-1])),
                "PSNR of renders": float(np.mean([decibels(value) for value in errors[:-1]])),
                "MSE of the photograph": errors[-1],
                "dlib distance, median": float(np.nanmedian(likeness)),
                "distance from the average code": float(np.mean([distance(each.codes, average) for each in found])),
            }
        )
        drawn.append([each.array for each in found])
    study.captions = ("target", *WAYS)
    study.rows = [[picture, *each] for picture, *each in zip(pictures, *drawn, strict=True)]
    return rows
