"""The record of the compared systems as a page for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]
TITLES = {"labels": "Label maps", "sketch": "Drawings"}
FIT = {"labels": "parser's IoU", "sketch": "F1 of lines"}
COLUMNS = ("", "whose code", "fit", "squared error", "right one", "Fréchet", "diversity", "faces", "sparse: faces",
           "Fréchet", "wrong: faces", "Fréchet", "seconds", "training")  # fmt: skip


def page(record: Row) -> str:
    """The whole page."""
    settings = record["settings"]
    parts = [
        "# The compared systems, measured",
        f"Written by `{record['command']}` from `peers.json`; run it again rather than edit it. {record['device']}, "
        f"commit {record['commit']}.",
        f"Every system was trained at 128 px for {settings['steps']} steps of {settings['batch']} pictures of the same "
        f"shards, with its paper's adversarial game, rates and feature matching; networks are {settings['width']} "
        f"channels wide ({2 * settings['width']} for pix2pixHD and components) where the papers have 64, and the "
        "perceptual loss looks through EfficientNet-Lite0 where they have VGG-19. This is a budget of minutes, not the "
        "papers' days: the table says which system is how far by then. pSp's encoder has the same budget, but its "
        "generator, the bundled one, was trained before, on renders of the same kind; that is the method's claim and "
        'its head start. "As shipped" is the bundled encoder, with its longer training.',
        *(_section(kind, rows, record) for kind, rows in record["kinds"].items()),
        "## What the columns say",
        f"On {settings['pictures']} renders of `{record['held_out']}` that nothing was trained on, at 128 px. Fit: "
        "whether the picture has what was asked for; for label maps the mean IoU of the parts of the face by a parser "
        f"({record['parser_iou']:.3f} on true pictures), for drawings the F1 of lines within two pixels, with 95 % "
        "bootstrap intervals. Right one: of all true pictures the nearest is its own, by dlib. Fréchet distance on "
        "EfficientNet-Lite2, smaller is better. Diversity: squared error between style samples of one input; the "
        "compared systems draw one picture of an input, as their papers mainly use them. Sparse: maps without the "
        "features of the face, drawings with five windows rubbed out. Wrong: maps of coarse blocks with a misplaced "
        "eye, drawings with six strokes that belong to no face; faces: where dlib finds one. Seconds of processor "
        "time: of one picture, and of the training.",
        "[study.html](study.html) shows pairs of these pictures blindly: open it in a browser, nothing leaves it.",
        *(f"Left out: {line}." for line in record["left_out"]),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _section(kind: str, rows: Mapping[str, Row], record: Row) -> str:
    heads = [FIT[kind] if name == "fit" else name for name in COLUMNS]
    lines = [f"## {TITLES[kind]}", "", f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    lines += [f"| {' | '.join(_cells(name, row))} |" for name, row in rows.items()]
    first = next(iter(rows.values()))
    if "fit_of_targets" in first:
        lines += ["", f"The parser's IoU on the true pictures themselves: {first['fit_of_targets']:.3f}."]
    return "\n".join([*lines, "", f"![{TITLES[kind]}: input, true picture, what each system draws]({kind}.webp)"])


def _cells(name: str, row: Row) -> list[str]:
    harmed = [row[kind] for kind in ("sparse", "wrong")]
    damaged = [cell for found in harmed for cell in (_share(found["faces"]), _one(found["frechet"]))]
    took = "before" if row["training_seconds"] is None else f"{row['training_seconds']:.0f}"
    return [
        name, row["source"], _sure(row["fit"]), _sure(row["mse"]), _share(row["rank_1"]), _one(row["frechet"]),
        f"{row['diversity']:.3g}", _share(row["faces"]), *damaged, f"{row['seconds']:.3g}", took,
    ]  # fmt: skip


def _sure(values: list[float]) -> str:
    return f"{values[0]:.3g} ({values[1]:.3g} to {values[2]:.3g})"


def _one(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
