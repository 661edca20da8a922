"""How much an embedding minds where the face is: shift, scale and rotation (Image2StyleGAN, section 3.2)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image

from studies.common import Pixels, Study, draw_curves, error

# Shares of the side; factors; degrees: what a face may be off by, from none to much.
SHIFTS = (0.0, 0.05, 0.1, 0.2, 0.3)
SCALES = (1.0, 1.1, 1.25, 1.5, 2.0)
TURNS = (0.0, 10.0, 25.0, 45.0, 90.0)


def moved(picture: Pixels, *, shift: float = 0.0, scale: float = 1.0, turn: float = 0.0) -> Pixels:
    """The picture with its content moved to the right, enlarged about its middle, or turned; mirrored at the edges."""
    size = len(picture)
    pad = size
    mirrored = np.pad(picture, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
    angle, middle = math.radians(turn), size / 2
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    # From places of the output to places of the mirrored input.
    across = middle + pad - cos * (middle + shift * size) - sin * middle
    down = middle + pad + sin * (middle + shift * size) - cos * middle
    image = Image.fromarray(mirrored).transform(
        (size, size), Image.Transform.AFFINE, (cos, sin, across, -sin, cos, down), Image.Resampling.BICUBIC
    )
    return np.asarray(image)


def run(study: Study) -> list[dict[str, Any]]:
    """One row a kind and size of error of alignment; the curve shows the growth of the squared error."""
    pictures = [picture for _, picture in study.subjects.faces]
    kinds = {"shift": SHIFTS, "scale": SCALES, "turn": TURNS}
    rows: list[dict[str, Any]] = []
    curves: dict[str, list[tuple[float, float]]] = {}
    still: float | None = None
    for kind, sizes in kinds.items():
        for place, size in enumerate(sizes):
            if place == 0 and still is not None:  # nothing moved is the same for all
                value = still
            else:
                changed = [moved(picture, **{kind: size}) for picture in pictures]
                found = study.embed(changed)
                errors = [error(each.array, target) for each, target in zip(found, changed, strict=True)]
                value = float(np.mean(errors))
                study.rows.append([changed[-1], found[-1].array])
                still = value if still is None else still
            rows.append({"off by": kind, "size": size, "MSE": value, "times the aligned one": value / (still or 1.0)})
            curves.setdefault(f"{kind} (to {sizes[-1]:g})", []).append((float(place), value))
    study.captions, study.columns = ("photograph", "embedded"), 4
    study.curve = draw_curves(curves, across="step of the error of alignment", up="squared error")
    return rows
