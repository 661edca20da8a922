"""Defects are drawn, not repaired: scratches, covered parts, with and without a mask (Image2StyleGAN, section 3.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from studies.common import Pixels, Study, error

DEFECTS = ("scratches", "covered eye", "stripe")


def damaged(picture: Pixels, kind: str) -> tuple[Pixels, NDArray[np.bool_]]:
    """The picture with a defect, and where it is."""
    size = len(picture)
    mask = Image.new("1", (size, size))
    draw = ImageDraw.Draw(mask)
    if kind == "scratches":
        rng = np.random.default_rng(0)
        for x0, x1 in rng.uniform(0.15, 0.85, (5, 2)) * size:
            draw.line([(x0, 0), (x1, size)], fill=1, width=max(2, size // 64))
    elif kind == "covered eye":
        draw.rectangle([0.28 * size, 0.36 * size, 0.48 * size, 0.52 * size], fill=1)
    else:
        draw.rectangle([0, 0.62 * size, size, 0.74 * size], fill=1)
    where = np.asarray(mask)
    colour = {"scratches": 255, "covered eye": 10, "stripe": 128}[kind]
    return np.where(where[..., None], np.uint8(colour), picture), where


def run(study: Study) -> list[dict[str, Any]]:
    """One row a defect and way: error of the defect's place against the damaged and the whole picture."""
    pictures = [picture for _, picture in study.subjects.faces]
    rows = []
    for kind in DEFECTS:
        pairs = [damaged(picture, kind) for picture in pictures]
        broken, places = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        ways = {"as it is": study.embed(broken), "with its mask": _masked(study, broken, places[0])}
        for name, found in ways.items():
            arrays = [each.array for each in found]
            inside = list(zip(arrays, broken, pictures, places, strict=True))
            rows.append(
                {
                    "defect": kind,
                    "embedded": name,
                    "MSE there, from the defect": float(np.mean([error(a, b, m) for a, b, _, m in inside])),
                    "MSE there, from the whole face": float(np.mean([error(a, p, m) for a, _, p, m in inside])),
                    "MSE elsewhere": float(np.mean([error(a, p, ~m) for a, _, p, m in inside])),
                }
            )
        for number in {0, len(pictures) - 1}:
            study.rows.append([pictures[number], broken[number], *(ways[name][number].array for name in ways)])
    study.captions = ("whole", "damaged", *ways)
    return rows


def _masked(study: Study, broken: list[Pixels], where: NDArray[np.bool_]) -> Any:
    """Embedded with the defect left out; all pictures have it in the same place."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mask.png"
        Image.fromarray(where).convert("L").save(path)
        return study.embed(broken, mask=str(path))
